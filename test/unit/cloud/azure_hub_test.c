/* Options and hubs without the service: what is checked, who a hub says it is, and memory that runs out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/failing.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

#define SECRET "secret-canary-key"
#define DEVICE "HostName=h;DeviceId=d;"
#define WITH_KEY "SharedAccessKey=c2VjcmV0LWNhbmFyeS1rZXk=" /* SECRET */

#ifdef TERN_WITH_TLS

static void arguments_are_checked(void **state)
{
    (void)state;
    static char large[300];
    char why[100];
    tern_azure_options *options = NULL;
    tern_azure_hub *hub = (tern_azure_hub *)&large;
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(tern_azure_options_new(NULL, DEVICE WITH_KEY), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_new(&options, NULL), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_new(&options, DEVICE), TERN_E_INVALID);
    assert_null(options);
    assert_int_equal(tern_azure_connection_string_error(NULL, why, sizeof why), TERN_E_INVALID);
    assert_string_equal(why, "position 1: an empty connection string");
    assert_int_equal(tern_azure_connection_string_error("DeviceId=d;DeviceId=d", NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_azure_connection_string_error(DEVICE WITH_KEY, why, sizeof why), 0);
    assert_string_equal(why, "");
    assert_int_equal(tern_azure_options_new(&options, DEVICE WITH_KEY), 0);
    assert_int_equal(tern_azure_options_set_token_life(options, 4), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_set_token_life(options, 31536001), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_set_token_life(options, 31536000), 0);
    assert_int_equal(tern_azure_options_set_keep_alive(options, 0), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_set_keep_alive(options, 1178), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_set_keep_alive(options, 1177), 0);
    assert_int_equal(tern_azure_options_set_websocket(options, 2), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_set_server(options, "x://"), TERN_E_URL);
    assert_int_equal(tern_azure_options_set_server(options, NULL), 0);
    assert_int_equal(tern_azure_options_set_model_id(options, large), TERN_E_INVALID);
    assert_int_equal(tern_azure_options_set_model_id(options, "\xFF"), TERN_E_UTF8);
    assert_null(tern_azure_options_client(NULL));
    assert_null(tern_azure_options_connection(NULL));
    assert_int_equal(tern_azure_hub_new(NULL, options), TERN_E_INVALID);
    assert_int_equal(tern_azure_hub_new(&hub, NULL), TERN_E_INVALID);
    assert_null(hub);
    assert_null(tern_azure_hub_client(NULL));
    assert_int_equal(tern_azure_hub_start(NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_azure_hub_get_twin(NULL, 1, NULL, NULL), TERN_E_INVALID);
    tern_azure_hub_free(NULL);
    tern_azure_options_free(options);
    tern_azure_options_free(NULL);
}

/* Until the broker has seen who it is. */
static void expect_introduction(tern_azure_options *options, mock_broker *broker, const char *user, const char *id)
{
    tern_azure_hub *hub = NULL;
    tern_token *token = NULL;
    assert_int_equal(tern_azure_options_set_server(options, mock_broker_url(broker)), 0);
    assert_int_equal(tern_azure_hub_new(&hub, options), 0);
    assert_int_equal(tern_azure_hub_start(hub, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    mock_connect connect = mock_broker_last_connect(broker);
    assert_int_equal(connect.version, 4);
    assert_false(connect.clean_start);
    assert_int_equal(connect.keep_alive, 240);
    assert_string_equal(connect.user_name, user);
    assert_string_equal(connect.client_id, id);
    tern_azure_hub_free(hub);
}

static void devices_and_modules_introduce_themselves(void **state)
{
    (void)state;
    static const struct row {
        const char *text;
        const char *model;
        const char *user;
        const char *id;
    } rows[] = {
        {DEVICE WITH_KEY, NULL, "h/d/?api-version=2021-04-12", "d"},
        {DEVICE "ModuleId=m;" WITH_KEY, NULL, "h/d/m/?api-version=2021-04-12", "d/m"},
        {DEVICE "x509=true", "dtmi:a;1", "h/d/?api-version=2021-04-12&model-id=dtmi%3Aa%3B1", "d"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mock_broker *broker = mock_broker_new();
        tern_azure_options *options = NULL;
        assert_non_null(broker);
        assert_int_equal(tern_azure_options_new(&options, rows[i].text), 0);
        assert_int_equal(tern_azure_options_set_model_id(options, rows[i].model), 0);
        expect_introduction(options, broker, rows[i].user, rows[i].id);
        expect_introduction(options, broker, rows[i].user, rows[i].id); /* options may make several hubs */
        tern_azure_options_free(options);
        mock_broker_free(broker);
    }
}

static void on_response(tern_azure_hub *hub, const tern_azure_response *response, void *user_data)
{
    (void)hub;
    assert_int_equal(tern_azure_response_error(response), TERN_E_CLOSED);
    ++*(int *)user_data;
}

static void on_method(tern_azure_hub *hub, const tern_azure_method *method, void *user_data)
{
    (void)hub;
    (void)method;
    (void)user_data;
}

/* What a program does with a hub; the first error ends it. `asked` counts the requests that were accepted. */
static int live(int *asked, int *answered)
{
    tern_azure_options *options = NULL;
    tern_azure_hub *hub = NULL;
    tern_azure_properties *bag = NULL;
    int rc = tern_azure_options_new(&options, DEVICE "ModuleId=m;" WITH_KEY);
    if (rc == 0) rc = tern_azure_options_set_model_id(options, "dtmi:a;1");
    if (rc == 0) rc = tern_azure_hub_new(&hub, options);
    if (rc == 0) rc = tern_azure_hub_set_method_handler(hub, on_method, NULL);
    if (rc == 0) rc = tern_azure_properties_new(&bag);
    if (rc == 0) rc = tern_azure_properties_add(bag, "name", "value");
    if (rc == 0) rc = tern_azure_hub_send_message(hub, "x", 1, bag, TERN_QOS_1, NULL);
    if (rc == 0) {
        rc = tern_azure_hub_get_twin(hub, 3600000, on_response, answered);
        if (rc == 0) ++*asked;
    }
    if (rc == 0) rc = tern_azure_hub_answer_method(hub, "1", 200, "{}", 2);
    tern_azure_properties_free(bag);
    tern_azure_hub_free(hub);
    tern_azure_options_free(options);
    return rc;
}

/* Every allocation fails once: an error, no leak, and each request that was accepted has its answer. [C19] [C20] */
static void memory_may_run_out(void **state)
{
    (void)state;
    bool failed = true;
    (void)failing_watch(SECRET);
    for (long n = 0; failed; n++) {
        int asked = 0;
        int answered = 0;
        failing_arm(n);
        int rc = live(&asked, &answered);
        failed = failing_disarm();
        if (!failed) assert_int_equal(rc, 0);
        if (rc != 0) assert_true(rc == TERN_E_NOMEM || rc == TERN_E_SYSTEM);
        assert_int_equal(answered, asked);
    }
    assert_int_equal(failing_watch(NULL), 0);
}

#else

static void a_build_without_tls_says_so(void **state)
{
    (void)state;
    tern_azure_options *options = (tern_azure_options *)&options;
    assert_int_equal(tern_azure_options_new(&options, DEVICE WITH_KEY), TERN_E_UNSUPPORTED);
    assert_null(options);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef TERN_WITH_TLS
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(devices_and_modules_introduce_themselves),
        cmocka_unit_test(memory_may_run_out),
#else
        cmocka_unit_test(a_build_without_tls_says_so),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
