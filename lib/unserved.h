/* SPDX-License-Identifier: GPL-2.0-or-later
 * unserved.h - programs that the loader will not load our library into
 */
#ifndef NPP_LIB_UNSERVED_H
#define NPP_LIB_UNSERVED_H

/**
 * npp_warn_if_unserved() - says so if the sockets of a program will not be npp's
 * @name: of the program, as for execvp()
 *
 * Those that are linked statically, and those that gain privileges when they are run. What cannot
 * be found or read is left for who runs it to complain about.
 */
void npp_warn_if_unserved(const char *name);

#endif
