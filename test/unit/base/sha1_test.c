/* SHA-1 against the vectors of FIPS 180 and the borders of its blocks.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha1.h"

static void check(const void *data, size_t len, const char *expected)
{
    uint8_t digest[TERN__SHA1_LEN];
    char text[2 * TERN__SHA1_LEN + 1];
    tern__sha1(data, len, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)digest[i]);
    assert_string_equal(text, expected);
}

static void known_messages_have_their_digests(void **state)
{
    (void)state;
    check("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    check("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
          "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
          112, "a49b2446a02c645bf419f995b67091253a04a259");
}

/* The padding takes one block or two. */
static void lengths_around_a_block_are_padded(void **state)
{
    (void)state;
    enum { MILLION = 1000000 };
    char *text = malloc(MILLION);
    assert_non_null(text);
    memset(text, 'a', MILLION);
    check(text, 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    check(text, 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    check(text, 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    check(text, 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    check(text, 65, "11655326c708d70319be2610e8a57d9a5b959d3b");
    check(text, MILLION, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_messages_have_their_digests),
        cmocka_unit_test(lengths_around_a_block_are_padded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
