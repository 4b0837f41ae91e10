/* proxies: the verbs about host addresses that rules make: proxy list, proxy generate. */
#ifndef OVVM_ADMIN_PROXIES_H
#define OVVM_ADMIN_PROXIES_H

#include "admin/verbs.h"

/* NULL: none of these verbs. */
const struct verb *proxy_verb_find(const char *name);

#endif
