/* Files: stamps that tell of a change, and appending for the owner's eyes alone.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/file.h"
#include "support/net.h"

typedef struct place {
    char folder[64];
    char path[100];
    char other[100];
} place;

static void set_up(place *p)
{
    assert_true(net_temp_dir(p->folder, sizeof p->folder));
    snprintf(p->path, sizeof p->path, "%s/file", p->folder);
    snprintf(p->other, sizeof p->other, "%s/other", p->folder);
}

static void a_stamp_tells_of_each_change(void **state)
{
    (void)state;
    place p;
    set_up(&p);
    assert_true(tern__file_stamp(p.path) == 0);
    assert_int_equal(tern__file_append(p.path, "a", 1), 0);
    uint64_t first = tern__file_stamp(p.path);
    assert_true(first != 0);
    assert_true(tern__file_stamp(p.path) == first);
    assert_int_equal(tern__file_append(p.path, "b", 1), 0);
    uint64_t second = tern__file_stamp(p.path);
    assert_true(second != first && second != 0);
    /* Replaced by one of the same size: another file. */
    assert_int_equal(tern__file_append(p.other, "xy", 2), 0);
    assert_int_equal(rename(p.other, p.path), 0);
    assert_true(tern__file_stamp(p.path) != second);
    net_remove_dir(p.folder);
}

static void what_is_appended_is_the_owners(void **state)
{
    (void)state;
    place p;
    struct stat found;
    char text[8] = "";
    set_up(&p);
    assert_int_equal(tern__file_append(p.path, "one", 3), 0);
    assert_int_equal(tern__file_append(p.path, "two", 3), 0);
    assert_int_equal(stat(p.path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    FILE *file = fopen(p.path, "r");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 6);
    fclose(file);
    assert_string_equal(text, "onetwo");
    assert_int_equal(tern__file_append("/no-such-folder/file", "x", 1), ENOENT);
    /* Nobody reads it: no wait. */
    assert_int_equal(mkfifo(p.other, 0600), 0);
    assert_int_equal(tern__file_append(p.other, "x", 1), ENXIO);
    net_remove_dir(p.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stamp_tells_of_each_change),
        cmocka_unit_test(what_is_appended_is_the_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
