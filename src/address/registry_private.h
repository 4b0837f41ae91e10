/* registry_private: what the registry's own files share. Not for others. */
#ifndef OVVM_ADDRESS_REGISTRY_PRIVATE_H
#define OVVM_ADDRESS_REGISTRY_PRIVATE_H

#include "address/registry.h"

/* At most what the ledger's column takes, cut between two characters; without control characters. */
void registry_take_name(const char *name, char to_r[PERSON_NAME_SIZE]);
/* Is `user` one of the ids that the connector keeps for itself? */
bool registry_is_own(const struct registry_policy *policy, struct name8 user);
/* The postmaster's address for one who has none (`how` says why). Always 0. */
int registry_fall_back(const struct registry_policy *policy, enum registry_how how, struct registry_answer *answer_r);

#endif
