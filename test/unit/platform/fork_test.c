/* The fork mark: a child is told apart from its parent, a grandchild from both. [C15]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "platform/fork.h"

static int status_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void each_generation_has_its_own(void **state)
{
    (void)state;
    unsigned own = tern__fork_generation();
    assert_true(own != 0);
    assert_int_equal(tern__fork_generation(), own);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsigned mine = tern__fork_generation();
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(tern__fork_generation() != mine ? 0 : 1);
        int status = 1;
        if (waitpid(grandchild, &status, 0) != grandchild || status != 0) _exit(2);
        _exit(mine != own && mine == tern__fork_generation() ? 0 : 3);
    }
    assert_int_equal(status_of(child), 0);
    assert_int_equal(tern__fork_generation(), own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_generation_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
