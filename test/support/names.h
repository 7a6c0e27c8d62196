/* Names and a network of a test's own, where no name server answers or a name has the addresses
 * that the test wants. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_NAMES_H
#define TERN_TEST_SUPPORT_NAMES_H

#include <stdbool.h>

/* To be called first in main(). The program starts over in namespaces of its own: only loopback is
 * there, /etc/hosts holds `hosts`, and the one name server is 127.0.0.1 port 53, where nobody
 * listens until names_silence(). Returns true there, and false, with the reason on stderr, where
 * the machine forbids it (a reason to skip). */
bool names_are_private(char **arguments, const char *hosts);

/* A name server that takes questions and never answers: its socket, -1 where it cannot be had. */
int names_silence(void);
/* Whether it was asked in time. */
bool names_were_asked(int server);

#endif
