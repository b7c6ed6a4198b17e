// Requests to rtnetlink(7), built in a fixed buffer.
#ifndef SEATRIAL_NETLINK_H
#define SEATRIAL_NETLINK_H

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
    struct nlmsghdr header;
    char body[2048];
};

// Starts a request with its family's fixed part.
void request_begin(struct request *request, uint16_t type, uint16_t flags, const void *fixed,
                   size_t bytes);
// Adds an attribute; one that does not fit makes the request invalid, which the kernel then says.
void request_add(struct request *request, uint16_t type, const void *data, size_t bytes);

// Sends it and waits for the kernel's word: 0 or an errno. A message that is the answer goes to
// `answer`, if there is one.
typedef bool answer_to(void *context, const struct nlmsghdr *message);
int request_send(int socket, struct request *request, answer_to *answer, void *context);

// Walks the attributes after a message's fixed part.
const struct rtattr *find_attribute(const struct nlmsghdr *message, size_t fixed, uint16_t type);

#endif
