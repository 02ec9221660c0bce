/* hidden.h - comes first in every file of runtime/ and shims/: all that they declare is in the same object, so that variables are
 * reached without a detour by the table of addresses. -fvisibility=hidden says that of definitions only. */
#pragma GCC visibility push(hidden)
