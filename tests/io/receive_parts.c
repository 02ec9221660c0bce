/* receive_parts.c: receiving calls that wait for so much on a stream, while what is to come does so in parts: with room for ancillary data,
 * with an address, by recvmmsg, peeking. What they say of these is what the kernel says, and signals for another thread change
 * nothing. */
#include "iotest.h"
#include <stddef.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PARTS 4
#define PART 300
#define ALL (PARTS * PART)
#define SIGNALS 4000

static int fds[2]; /* what comes from fds[1] is received from fds[0] */
static int tcp;
static atomic_int handled;

static void handler(int sig)
{
    (void)sig;
    atomic_fetch_add(&handled, 1);
}

static void option(int name, int value)
{
    CHECK(setsockopt(fds[0], SOL_SOCKET, name, &value, sizeof value) == 0);
}

static socklen_t name_it(struct sockaddr_un *a, const char *what)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "preloom %s %08d", what, getpid());
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* The Unix sender has a name. */
static void make(int over_tcp, int low)
{
    struct sockaddr_un a;
    tcp = over_tcp;
    if (tcp) {
        tcp_pair(fds);
    } else {
        int l = socket(AF_UNIX, SOCK_STREAM, 0);
        fds[1] = socket(AF_UNIX, SOCK_STREAM, 0);
        socklen_t len = name_it(&a, "sender");
        CHECK(bind(fds[1], (struct sockaddr *)&a, len) == 0);
        len = name_it(&a, "receiver");
        CHECK(bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 1) == 0);
        CHECK(connect(fds[1], (struct sockaddr *)&a, len) == 0 && (fds[0] = accept(l, NULL, NULL)) >= 0);
        close(l);
    }
    if (low)
        option(SO_RCVLOWAT, low);
}

static void unmake(void)
{
    close(fds[0]);
    close(fds[1]);
}

enum with { Nothing, A_descriptor };

static void send_part(int i, enum with with)
{
    static unsigned char buf[PART];
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec v = { buf, PART };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
    fill(buf, PART, (unsigned)i);
    if (with == A_descriptor) {
        h.msg_control = control;
        h.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(c), &fds[1], sizeof(int));
    }
    CHECK(sendmsg(fds[1], &h, 0) == PART);
}

/* --- each way to receive --- */

enum call { Message, Message_looks, From, From_looks, Plain, Messages, For_one, Vector };
static const char *const names[] = { "recvmsg", "recvmsg, looking", "recvfrom", "recvfrom, looking", "recv", "recvmmsg",
                                     "recvmmsg for one", "readv" };

static unsigned char got[2][ALL];

static void tell_control(struct msghdr *h)
{
    printf(", flags %x", (unsigned)h->msg_flags);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        printf(", level %d type %d", c->cmsg_level, c->cmsg_type);
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)), fd;
            for (int i = 0; i < n; i++) {
                memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof fd, sizeof fd);
                CHECK(close(fd) == 0);
            }
            printf(" (%d)", n);
        }
    }
}

/* Prints what came of it. */
static ssize_t receive(enum call call, int flags, size_t room, size_t control_room)
{
    struct sockaddr_un a[2] = { 0 };
    char control[2][256];
    struct iovec v[2][2];
    struct mmsghdr m[2] = { 0 };
    socklen_t len = sizeof a[0];
    ssize_t n;
    memset(got, 0, sizeof got);
    for (int i = 0; i < 2; i++) {
        v[i][0] = (struct iovec){ got[i], 10 };
        v[i][1] = (struct iovec){ got[i] + 10, room - 10 };
        m[i].msg_hdr = (struct msghdr){ .msg_name = &a[i], .msg_namelen = sizeof a[i], .msg_iov = v[i], .msg_iovlen = 2,
                                        .msg_control = control_room ? control[i] : NULL, .msg_controllen = control_room };
    }
    switch (call) {
    case Message:
    case Message_looks:
        n = recvmsg(fds[0], &m[0].msg_hdr, flags | (call == Message_looks ? MSG_PEEK : 0));
        break;
    case From:
    case From_looks:
        n = recvfrom(fds[0], got[0], room, flags | (call == From_looks ? MSG_PEEK : 0), (struct sockaddr *)&a[0], &len);
        break;
    case Plain:
        n = recv(fds[0], got[0], room, flags);
        break;
    case Vector:
        n = readv(fds[0], v[0], 2);
        break;
    default:
        n = recvmmsg(fds[0], m, 2, flags | (call == For_one ? MSG_WAITFORONE : 0), NULL);
        break;
    }
    printf("%s, %s, room %zu and %zu: ", tcp ? "TCP" : "Unix", names[call], room, control_room);
    if (n < 0) {
        printf("%s\n", strerror(errno));
        return n;
    }
    printf("%zd", n);
    if (call == From || call == From_looks)
        printf(", address %u %.14s", len, a[0].sun_path + 1);
    int messages = call == Messages || call == For_one ? (int)n : call <= Message_looks;
    for (int i = 0; i < messages; i++) {
        if (call >= Messages)
            printf("; %u", m[i].msg_len);
        printf(", address %u %.14s", m[i].msg_hdr.msg_namelen, a[i].sun_path + 1);
        tell_control(&m[i].msg_hdr);
    }
    printf("\n");
    return n;
}

/* --- parts that come one after the other; all of them, or up to the one with a descriptor, or to the end --- */

struct plan {
    int parts, descriptor; /* which has one; -1: none */
    int end;
};

static void *sends(void *arg)
{
    struct plan *p = arg;
    for (int i = 0; i < p->parts; i++) {
        msleep(10);
        send_part(i, i == p->descriptor ? A_descriptor : Nothing);
    }
    if (p->end) {
        msleep(10);
        CHECK(shutdown(fds[1], SHUT_WR) == 0);
    }
    return NULL;
}

static void comes(enum call call, int flags, size_t room, size_t control_room, struct plan p)
{
    pthread_t t = start(sends, &p);
    receive(call, flags, room, control_room);
    join(t);
    if (p.descriptor >= 0) /* what was left */
        receive(call, flags | MSG_DONTWAIT, room, control_room);
}

static void each_call(int over_tcp)
{
    for (enum call call = Message; call <= Vector; call++) {
        size_t room = call == Messages ? ALL / 2 : ALL;
        for (int low = 0; low < 2; low++) {
            int flags = low ? 0 : MSG_WAITALL, looks = call == Message_looks || call == From_looks;
            if (!over_tcp && looks && !low)
                continue; /* how much there is at once is chance */
            if ((low && (looks || call == Messages || call == For_one)) || (!low && call == Vector))
                continue;
            for (int end = 0; end < 2; end++) {
                make(over_tcp, low ? ALL : 0);
                comes(call, flags, room, call == Message ? 256 : 0, (struct plan){ end ? PARTS - 1 : PARTS, -1, end });
                unmake();
            }
        }
    }
}

static void descriptors(void)
{
    static const size_t control[] = { 0, 8, CMSG_SPACE(sizeof(int)), 256 };
    for (int which = 0; which < 3; which++)
        for (size_t i = 0; i < sizeof control / sizeof *control; i++) {
            make(0, 0);
            comes(Message, MSG_WAITALL, ALL, control[i], (struct plan){ PARTS, which, 0 });
            unmake();
        }
    make(0, 0);
    comes(Messages, MSG_WAITALL, ALL / 2, 256, (struct plan){ PARTS, 0, 1 });
    unmake();
    make(0, 0);
    comes(Plain, MSG_WAITALL, ALL, 0, (struct plan){ PARTS, 1, 0 });
    unmake();
}

/* TCP tells when the last part came, in the room that there is. */
static void time_stamps(void)
{
    for (size_t control = 0; control <= 256; control += 128) {
        make(1, 0);
        option(SO_TIMESTAMP, 1);
        comes(Message, MSG_WAITALL, ALL, control, (struct plan){ PARTS, -1, 0 });
        unmake();
    }
}

/* --- signals --- */

static void *takes_signals(void *arg)
{
    CHECK(pthread_sigmask(SIG_UNBLOCK, arg, NULL) == 0);
    for (;;)
        pause();
    return NULL;
}

/* In a process of its own, whose first thread receives: the kernel looks there first for somebody to interrupt. */
static void for_another(enum call call, int over_tcp, int low, size_t control_room)
{
    sigset_t usr;
    int status, more = call == Messages ? 2 : 1;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child) {
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        return;
    }
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &usr, NULL) == 0);
    start(takes_signals, &usr);
    make(over_tcp, low ? ALL : 0);
    msleep(1);
    pid_t self = getpid(), sender = fork();
    CHECK(sender >= 0);
    if (sender == 0) {
        for (int i = 0; i < SIGNALS && getppid() == self && kill(self, SIGUSR1) == 0; i++)
            usleep(300);
        _exit(0);
    }
    pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0) {
        for (int i = 0; i < more * PARTS; i++) {
            usleep(15000);
            send_part(i, Nothing);
        }
        _exit(0);
    }
    receive(call, low ? 0 : MSG_WAITALL, ALL, control_room);
    kill(sender, SIGKILL);
    while (wait(&status) > 0)
        ;
    fflush(stdout);
    _exit(0);
}

static void *receives(void *arg)
{
    printf("%s\n", receive((enum call)(intptr_t)arg, MSG_WAITALL, ALL, 256) < 0 ? "ended" : "a part");
    return NULL;
}

static void own_signal(enum call call, int over_tcp, int parts)
{
    make(over_tcp, 0);
    pthread_t t = start(receives, (void *)call);
    all_settle();
    for (int i = 0; i < parts; i++)
        send_part(i, Nothing);
    all_settle();
    CHECK(pthread_kill(t, SIGUSR1) == 0);
    join(t);
    unmake();
}

int main(void)
{
    struct sigaction sa = { .sa_handler = handler };
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    join(start(nothing, NULL));
    for (int over_tcp = 0; over_tcp < 2; over_tcp++)
        each_call(over_tcp);
    descriptors();
    time_stamps();
    for (int parts = 0; parts < 2; parts++) {
        own_signal(Message, 0, parts);
        own_signal(Message, 1, parts);
        own_signal(From, 0, parts);
        own_signal(From_looks, 1, parts);
        own_signal(Messages, 0, parts);
        own_signal(Messages, 1, parts);
    }
    for_another(Message, 0, 0, 256);
    for_another(Message, 0, 1, 256);
    for_another(Message, 1, 0, 256);
    for_another(From, 0, 1, 0);
    for_another(Messages, 0, 0, 0);
    for_another(Messages, 1, 0, 256);
    for_another(From_looks, 1, 0, 0);
    return 0;
}
