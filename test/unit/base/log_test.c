/* Log records: one line, no control characters, cut where too long, and silent where nobody
 * listens. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/log.h"

typedef struct heard {
    int count;
    tern_log_level level;
    char text[2000];
} heard;

static void listen(tern_log_level level, const char *text, void *user_data)
{
    heard *h = user_data;
    h->count++;
    h->level = level;
    (void)snprintf(h->text, sizeof h->text, "%s", text);
}

static void levels(void **state)
{
    (void)state;
    heard h = {.count = 0};
    tern__log log = {.level = TERN_LOG_INFO, .callback = listen, .user_data = &h};
    tern__log_write(&log, TERN_LOG_DEBUG, "quiet");
    assert_int_equal(h.count, 0);
    tern__log_write(&log, TERN_LOG_INFO, "n=%d", 7);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.level, TERN_LOG_INFO);
    assert_string_equal(h.text, "n=7");
    log.callback = NULL;
    assert_false(tern__log_on(&log, TERN_LOG_ERROR));
    tern__log_write(&log, TERN_LOG_ERROR, "nobody");
    assert_int_equal(h.count, 1);
}

static void one_clean_line(void **state)
{
    (void)state;
    heard h = {.count = 0};
    tern__log log = {.level = TERN_LOG_TRACE, .callback = listen, .user_data = &h};
    tern__log_write(&log, TERN_LOG_ERROR, "%s", "a\nb\x1b[31m\x7f\tc\xC3\xA4");
    assert_string_equal(h.text, "a?b?[31m??c\xC3\xA4");
}

static void long_records_are_cut(void **state)
{
    (void)state;
    heard h = {.count = 0};
    char text[1500];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    tern__log log = {.level = TERN_LOG_TRACE, .callback = listen, .user_data = &h};
    tern__log_write(&log, TERN_LOG_ERROR, "%s", text);
    assert_int_equal(strlen(h.text), 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(one_clean_line),
        cmocka_unit_test(long_records_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
