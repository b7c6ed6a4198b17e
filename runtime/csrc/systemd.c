// A call to systemd over D-Bus (org.freedesktop.systemd1): Python has written the messages, here
// the pid is put in, and the answer and the end of the job are waited for.
#include "executor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, MESSAGE_MOST = 16384 };
enum { METHOD_RETURN = 2, ERROR = 3, SIGNAL = 4 };
enum { MEMBER = 3, ERROR_NAME = 4, REPLY_SERIAL = 5 };

static int send_all(int bus, struct iovec *pieces, size_t count) {
    while (count) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
        ssize_t done = sendmsg(bus, &message, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        size_t left = (size_t)done;
        while (count && left >= pieces->iov_len) {
            left -= pieces->iov_len;
            pieces++, count--;
        }
        if (count) {
            pieces->iov_base = (char *)pieces->iov_base + left;
            pieces->iov_len -= left;
        }
    }
    return 0;
}

static int receive_all(int bus, void *into, size_t bytes) {
    for (size_t got = 0; got < bytes;) {
        struct pollfd poll_fd = {.fd = bus, .events = POLLIN};
        int ready = poll(&poll_fd, 1, PATIENCE_MS);
        if (ready == 0)
            return ETIMEDOUT;
        ssize_t part = ready < 0 ? -1 : recv(bus, (char *)into + got, bytes - got, 0);
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return part < 0 ? errno : ECONNRESET;
        got += (size_t)part;
    }
    return 0;
}

// "\0AUTH EXTERNAL <uid in hexadecimal digits of its decimal digits>", answered by one line.
static int authenticate(int bus) {
    static const char hello[] = "\0AUTH EXTERNAL ";
    char request[96], digits[24], line[256];
    size_t length = sizeof hello - 1;
    memcpy(request, hello, length);
    size_t count = print_decimal(digits, geteuid());
    for (size_t i = 0; i < count; i++) {
        request[length++] = '3'; // 0 to 9 are 0x30 to 0x39
        request[length++] = digits[i];
    }
    request[length++] = '\r';
    request[length++] = '\n';
    struct iovec piece = {.iov_base = request, .iov_len = length};
    int error = send_all(bus, &piece, 1);
    for (size_t got = 0; !error; got++) {
        if (got == sizeof line)
            return EPROTO;
        if ((error = receive_all(bus, line + got, 1)) || line[got] == '\n')
            break;
    }
    if (!error && memcmp(line, "OK ", 3) != 0)
        error = EACCES;
    static const char begin[] = "BEGIN\r\n";
    piece = (struct iovec){.iov_base = (void *)(uintptr_t)begin, .iov_len = sizeof begin - 1};
    return error ? error : send_all(bus, &piece, 1);
}

struct message {
    unsigned char type;
    uint32_t answers;
    const char *member; // or the name of the error
    const unsigned char *body;
    uint32_t body_bytes;
};

static uint32_t number_at(const unsigned char *data, size_t at) {
    uint32_t value;
    memcpy(&value, data + at, sizeof value);
    return value;
}

static size_t aligned(size_t at, size_t to) {
    return (at + to - 1) / to * to;
}

// Header fields are structures of a byte and a variant, each at a multiple of eight.
static bool parse_fields(const unsigned char *data, size_t end, struct message *message) {
    for (size_t at = 16; at + 8 <= end;) {
        unsigned char code = data[at];
        unsigned char type = data[at + 2];
        if (data[at + 1] != 1)
            return false;
        at += 4;
        if (type == 'u') {
            if (code == REPLY_SERIAL)
                message->answers = number_at(data, at);
            at += 4;
        } else if (type == 'g') {
            at += (size_t)data[at] + 2;
        } else if (type == 's' || type == 'o') {
            uint32_t length = number_at(data, at);
            if (length >= end || at + 4 + length >= end)
                return false;
            if (code == MEMBER || code == ERROR_NAME)
                message->member = (const char *)data + at + 4;
            at += 4 + (size_t)length + 1;
        } else {
            return false;
        }
        at = aligned(at, 8);
    }
    return true;
}

static int receive_message(int bus, unsigned char data[MESSAGE_MOST], struct message *message) {
    memset(message, 0, sizeof *message);
    int error = receive_all(bus, data, 16);
    if (error)
        return error;
    uint32_t fields = number_at(data, 12), body = number_at(data, 4);
    size_t start = aligned(16 + (size_t)fields, 8);
    if (data[0] != 'l' || fields > MESSAGE_MOST || body > MESSAGE_MOST ||
        start + body >= MESSAGE_MOST)
        return EPROTO;
    if ((error = receive_all(bus, data + 16, start + body - 16)))
        return error;
    data[start + body] = 0;
    message->type = data[1];
    message->body = data + start;
    message->body_bytes = body;
    return parse_fields(data, 16 + fields, message) ? 0 : EPROTO;
}

// JobRemoved(u id, o job, s unit, s result)
static const char *string_in(const struct message *message, size_t *at) {
    *at = aligned(*at, 4);
    if (*at + 4 > message->body_bytes)
        return NULL;
    uint32_t length = number_at(message->body, *at);
    size_t start = *at + 4;
    if (length >= message->body_bytes || start + length >= message->body_bytes ||
        message->body[start + length] != 0)
        return NULL;
    *at = start + length + 1;
    return (const char *)message->body + start;
}

static int error_of(const char *name) {
    static const struct {
        const char *ends;
        int error;
    } known[] = {
        {"UnitExists", EEXIST},       {"NoSuchUnit", ENOENT},
        {"AccessDenied", EACCES},     {"InvalidArgs", EINVAL},
        {"NoSuchProcess", ESRCH},     {"UnixProcessIdUnknown", ESRCH},
        {"ServiceUnknown", ENOTCONN}, {"InteractiveAuthorizationRequired", EACCES},
        {"PropertyReadOnly", EROFS},  {"NotSupported", EOPNOTSUPP},
    };
    size_t length = name ? strlen(name) : 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t end = strlen(known[i].ends);
        if (length >= end && strcmp(name + length - end, known[i].ends) == 0)
            return known[i].error;
    }
    return EREMOTEIO;
}

static int await(int bus, uint32_t serial, const char *unit) {
    unsigned char data[MESSAGE_MOST] __attribute__((aligned(8)));
    struct message message;
    bool answered = false, done = *unit == 0;
    while (!answered || !done) {
        int error = receive_message(bus, data, &message);
        if (error)
            return error;
        if (message.type == ERROR && message.answers)
            return error_of(message.member);
        if (message.type == METHOD_RETURN && message.answers == serial)
            answered = true;
        if (message.type == SIGNAL && message.member && !strcmp(message.member, "JobRemoved")) {
            size_t at = 4;
            const char *job = string_in(&message, &at);
            const char *of = job ? string_in(&message, &at) : NULL;
            const char *result = of ? string_in(&message, &at) : NULL;
            if (result && strcmp(of, unit) == 0) {
                if (strcmp(result, "done") != 0 && strcmp(result, "skipped") != 0)
                    return ECANCELED;
                done = true;
            }
        }
    }
    return 0;
}

// path: the bus; blob: the messages; text: the unit whose job has to end, or nothing. number: where
// in the blob the pid belongs, plus one, or 0; the serial of the call. flag 1: a unit that is not
// there is fine.
int op_systemd(struct context *context, const struct op *op) {
    const struct plan *plan = context->plan;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = plan_string(plan, op->path);
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path || op->number[0] > op->blob_bytes ||
        (op->number[0] && op->number[0] + 3 > op->blob_bytes))
        return EINVAL;
    memcpy(address.sun_path, path, length + 1);
    int bus = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bus < 0)
        return errno;
    int error = connect(bus, (struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
    if (!error)
        error = authenticate(bus);
    if (!error) {
        char *blob = (char *)(uintptr_t)plan->heap + op->blob;
        uint32_t pid = (uint32_t)context->pid;
        size_t at = op->number[0] ? (size_t)op->number[0] - 1 : op->blob_bytes;
        size_t put = op->number[0] ? sizeof pid : 0;
        struct iovec pieces[] = {
            {.iov_base = blob, .iov_len = at},
            {.iov_base = &pid, .iov_len = put},
            {.iov_base = blob + at + put, .iov_len = op->blob_bytes - at - put},
        };
        error = send_all(bus, pieces, 3);
    }
    if (!error)
        error = await(bus, (uint32_t)op->number[1], plan_string(plan, op->text));
    close(bus);
    return error == ENOENT && op->flags & 1 ? 0 : error;
}
