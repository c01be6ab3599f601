/* SPDX-License-Identifier: Apache-2.0 */
/* Where a user keeps files of a kind, by the XDG base directory specification. Reads the environment. */
#ifndef CLATTN_RUNTIME_USER_PATH_H
#define CLATTN_RUNTIME_USER_PATH_H

/* "directory/name", malloc'ed; NULL without memory. */
char *clattn_path_join(const char *directory, const char *name);

/*
 * `name` below the directory that the environment's `variable` says, else `name_at_home` below the user's home;
 * malloc'ed; NULL without either, or without memory.
 */
char *clattn_user_path(const char *variable, const char *name, const char *name_at_home);

#endif
