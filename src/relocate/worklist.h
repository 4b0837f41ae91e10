/* worklist: what has to be changed at the neighbours when the connector moves, in each one's own commands (RL-08).
 *
 * Sources: RSCS DEFINE/PARM and CONFIG statements (SC24-6320), JES2 $T SOCKET (SA32-0991), Hercules TCPNJE devices for
 * RSCS on VM/370 and NJE38, UnixNJE's configuration file.
 */
#ifndef OVVM_RELOCATE_WORKLIST_H
#define OVVM_RELOCATE_WORKLIST_H

#include "base/conf.h"

#include <jansson.h>

/* One neighbour as a bundle's manifest or a configuration has it: {"node", "kind", "listen", "connect"}. */
json_t *worklist_link(const struct conf_link *link);

/* An array of lines for people. `before` lists the links of the old side (an array of worklist_link). `conf` is the new
 * side's; NULL where that is not known yet, as on the old side: then the lines have words in < > to be filled in.
 * `mail_managers`: Ovdfile.dat lists OfficeVision nodes, whose directories may hold a REMLOC entry for our location. */
json_t *worklist_make(const char *node, const char *location, const json_t *before, const struct conf *conf,
                      bool mail_managers);

#endif
