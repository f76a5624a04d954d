/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 6: policy. Source class, destination class and port class name one cell; what has no cell is refused. The number of
 * lookups does not depend on the number of records.
 */
#ifndef SEKISHO_POLICY_H
#define SEKISHO_POLICY_H

#include "tables.h"

/* port: destination port, or ICMP type; other protocols: not looked at. 0: no record names it. */
INLINE __u16 port_class(const struct tables *t, __u8 proto, __u16 port)
{
	void *table = bpf_map_lookup_elem(&ports, &t->slot);
	__u32 *class, index;

	if (proto == PROTO_TCP)
		index = port;
	else if (proto == PROTO_UDP)
		index = PORTS_UDP + port;
	else if (proto == PROTO_ICMP)
		index = PORTS_ICMP + (port & 0xff);
	else if (proto == PROTO_ICMP6)
		index = PORTS_ICMP6 + (port & 0xff);
	else
		index = PORTS_OTHER + proto;
	class = table ? bpf_map_lookup_elem(table, &index) : 0;
	return class ? *class : 0;
}

/* The permission for src to open towards dst, or null. */
INLINE struct cell *policy(const struct tables *t, __u16 src, __u16 dst, __u8 proto, __u16 port)
{
	struct cell_key key = {.src = src, .dst = dst, .port = port_class(t, proto, port)};
	void *table = bpf_map_lookup_elem(&cells, &t->slot);

	return table && key.port ? bpf_map_lookup_elem(table, &key) : 0;
}

#endif
