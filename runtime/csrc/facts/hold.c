// Whether the host still gives the answers that a plan was made of.
#include "facts.h"

#include "../plan.h"

#include <string.h>

enum { ROOM = 4096 };

// One question with its answer, as seatrial.oci.kept writes it; the name and the answer follow.
struct fact {
    uint32_t kind;
    uint32_t flags;
    int32_t error;
    uint32_t name_bytes; // with its NUL
    uint32_t answer_bytes;
};

static bool holds(struct asker *asker, const struct fact *fact, const char *name, const char *id,
                  const char *answer) {
    char bound[ROOM];
    size_t bytes = plan_expand(name, id, NULL);
    if (bytes > sizeof bound)
        return false;
    plan_expand(name, id, bound);
    return ask(asker, fact->kind, fact->flags, bound) == fact->error &&
           (fact->error || (asker->answer.bytes == fact->answer_bytes &&
                            memcmp(asker->answer.at, answer, fact->answer_bytes) == 0));
}

// Whether the host gives the same answers to all that the compiler asked.
bool facts_hold(const char *facts, size_t bytes, const char *id) {
    struct asker asker = {0};
    bool all = true;
    size_t at = 0;
    while (all && at < bytes) {
        struct fact fact;
        if (bytes - at < sizeof fact)
            return false;
        memcpy(&fact, facts + at, sizeof fact);
        at += sizeof fact;
        const size_t name = ((size_t)fact.name_bytes + 3) & ~(size_t)3,
                     answer = ((size_t)fact.answer_bytes + 3) & ~(size_t)3;
        if (name > bytes - at || answer > bytes - at - name || fact.name_bytes == 0 ||
            facts[at + fact.name_bytes - 1] != 0)
            return false;
        all = holds(&asker, &fact, facts + at, id, facts + at + name);
        at += name + answer;
    }
    forget(&asker);
    return all;
}
