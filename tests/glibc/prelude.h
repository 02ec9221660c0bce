/* prelude.h: read before each of glibc's test programs and its support library (scripts/test-glibc). glibc builds them
 * with headers of its own inside; these few stand in for them, so that the programs are built like any others. */
#ifndef PRELUDE_H
#define PRELUDE_H
#include <bits/types/sigset_t.h>
#include <features.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define TIMEOUTFACTOR 1
#define attribute_hidden
#define attribute_compat_text_section
#define attribute_relro
#define attribute_tls_model_ie __attribute__((tls_model("initial-exec")))
#define weak_alias(name, alias)
#define strong_alias(name, alias)
#define libc_hidden_def(name)
#define libc_hidden_proto(...)
#define __set_errno(e) (errno = (e))

/* The support library knows where things are installed; no test that is run asks for the source's or the build's place. */
#define SRCDIR_PATH "/"
#define OBJDIR_PATH "/"
#define OBJDIR_ELF_LDSO_PATH "/lib64/ld-linux-x86-64.so.2"
#define INSTDIR_PATH "/usr"
#define LIBDIR_PATH "/usr/lib/x86_64-linux-gnu"
#define SLIBDIR_PATH "/lib/x86_64-linux-gnu"
#define BINDIR_PATH "/usr/bin"
#define SBINDIR_PATH "/usr/sbin"
#define ROOTSBINDIR_PATH "/sbin"
#define COMPLOCALEDIR_PATH "/usr/lib/locale"
#endif
