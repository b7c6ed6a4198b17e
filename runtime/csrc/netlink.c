#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void request_begin(struct request *request, uint16_t type, uint16_t flags, const void *fixed,
                   size_t bytes) {
    request->header = (struct nlmsghdr){
        .nlmsg_len = (uint32_t)NLMSG_LENGTH(bytes),
        .nlmsg_type = type,
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
        .nlmsg_seq = 1,
    };
    memcpy(request->body, fixed, bytes);
}

void request_add(struct request *request, uint16_t type, const void *data, size_t bytes) {
    size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
    size_t end = at + RTA_LENGTH(bytes);
    if (request->header.nlmsg_len == 0)
        return;
    if (end > sizeof *request) {
        request->header.nlmsg_len = 0;
        return;
    }
    struct rtattr attribute = {.rta_len = (uint16_t)RTA_LENGTH(bytes), .rta_type = type};
    char *into = (char *)request + at;
    memcpy(into, &attribute, sizeof attribute);
    memcpy(into + RTA_LENGTH(0), data, bytes);
    request->header.nlmsg_len = (uint32_t)end;
}

int request_send(int socket, struct request *request, answer_to *answer, void *context) {
    // As long as the largest message of a dump (netlink(7)).
    static _Alignas(struct nlmsghdr) char buffer[32768];
    static uint32_t sequence;
    request->header.nlmsg_seq = ++sequence;
    if (request->header.nlmsg_len == 0)
        return EMSGSIZE;
    if (send(socket, request, request->header.nlmsg_len, 0) < 0)
        return errno;
    for (;;) {
        ssize_t bytes = recv(socket, buffer, sizeof buffer, 0);
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes <= 0)
            return bytes < 0 ? errno : EIO;
        size_t left = (size_t)bytes;
        for (struct nlmsghdr *message = (struct nlmsghdr *)buffer; NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_seq != sequence)
                continue;
            if (message->nlmsg_type == NLMSG_DONE)
                return 0;
            if (message->nlmsg_type == NLMSG_ERROR) {
                int error;
                memcpy(&error, NLMSG_DATA(message), sizeof error);
                return -error;
            }
            if (answer && !answer(context, message))
                answer = NULL;
        }
    }
}

const struct rtattr *find_attribute(const struct nlmsghdr *message, size_t fixed, uint16_t type) {
    const char *start = (const char *)message + NLMSG_LENGTH(0);
    size_t at = NLMSG_ALIGN(fixed);
    size_t end = message->nlmsg_len - (size_t)NLMSG_LENGTH(0);
    while (at + sizeof(struct rtattr) <= end) {
        const struct rtattr *attribute = (const struct rtattr *)(const void *)(start + at);
        if (attribute->rta_len < sizeof *attribute || at + attribute->rta_len > end)
            break;
        if ((attribute->rta_type & NLA_TYPE_MASK) == type)
            return attribute;
        at += RTA_ALIGN(attribute->rta_len);
    }
    return NULL;
}
