/* getaddrinfo.c: the resolver, user and group look-ups, and time zone code from many threads at once. */
#include "check.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/socket.h>

#define N 20

static void *resolves(void *arg)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    for (int i = 0; i < 20; i++) {
        CHECK0(getaddrinfo("localhost", "80", &hints, &list));
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)list->ai_addr;
        CHECK(in->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ntohs(in->sin_port) == 80);
        freeaddrinfo(list);

        struct passwd pw, *found;
        char buffer[4096];
        CHECK0(getpwuid_r(0, &pw, buffer, sizeof buffer, &found));
        CHECK(found == &pw && strcmp(pw.pw_name, "root") == 0);

        time_t when = 86400 * 365;
        struct tm tm;
        CHECK(gmtime_r(&when, &tm) == &tm && tm.tm_year == 71);
    }
    return arg;
}

int main(void)
{
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = start(resolves, NULL);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("localhost found");
    return 0;
}
