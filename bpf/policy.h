/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 6: policy. Source class, destination class and port class name one cell; what has no cell is refused. The number of
 * lookups does not depend on the number of records.
 */
#ifndef SEKISHO_POLICY_H
#define SEKISHO_POLICY_H

#include "image.h"

/* port: destination port, or ICMP type; other protocols: not looked at. 0: no record names it. */
INLINE __u16 port_class(const struct tables *t, __u8 proto, __u16 port)
{
	__u32 index = port;
	__u16 *class;

	if (proto == PROTO_ICMP)
		return t->head->small[SMALL_ICMP + (port & 0xff)];
	if (proto == PROTO_ICMP6)
		return t->head->small[SMALL_ICMP6 + (port & 0xff)];
	if (proto == PROTO_UDP)
		index += PORTS_UDP;
	else if (proto == PROTO_SCTP)
		index += PORTS_SCTP;
	else if (proto != PROTO_TCP)
		return t->head->small[SMALL_OTHER + proto];
	class = image_entry(t, &t->head->ports, index, PORT_SHIFT);
	return class ? *class : 0;
}

/* Where a cell lies; 0: there is none. classes: source in the high, destination in the low 16 bits; service: protocol and port
 * alike. */
INLINE __u64 cell_in(const struct tables *t, __u32 classes, __u32 service)
{
	const struct image_table *table = &t->head->cells;
	__u64 key = port_class(t, service >> 16, service), hash;
	__u32 way;

	if (!key || !(classes >> 16))
		return 0;
	key = key << 32 | (__u64)(classes & 0xffff) << 16 | classes >> 16;
	hash = mix((__u64)table->seed << 48 ^ key);
#pragma unroll
	for (way = 0; way < 2; way++, hash >>= 32) {
		__u32 bucket = (__u64)(__u32)hash * table->count >> 32, slot = 0, found = 0, i;
		__u64 *entries = image_entry(t, table, bucket, BUCKET_SHIFT);

		if (!entries)
			return 0;
#pragma unroll
		for (i = 0; i < 4; i++) {
			/* source, destination and port class are the first six bytes; a key is never zero there */
			__u32 equal = is_zero((entries[2 * i] ^ key) << 16);

			found |= equal;
			slot |= -equal & i;
		}
		if (found)
			return place(table, bucket, BUCKET_SHIFT, slot * sizeof(struct cell));
	}
	return 0;
}

__attribute__((noinline)) __u64 place_of_cell(__u32 epoch, __u32 classes, __u32 service)
{
	struct tables t;

	return tables_of(&t, epoch) ? 0 : cell_in(&t, classes, service);
}

INLINE struct cell *cell_at(const struct tables *t, __u64 at)
{
	return at ? image_at(t, at >> 32, at & (CHUNK - sizeof(struct cell))) : 0;
}

/* The permission for src to open towards dst, or null. */
INLINE struct cell *policy(const struct tables *t, __u16 src, __u16 dst, __u8 proto, __u16 port)
{
	return cell_at(t, place_of_cell(t->epoch, (__u32)src << 16 | dst, (__u32)proto << 16 | port));
}

/* Packets into tunnels whose bandwidth class their code point chose (RFC 2474), by it. Written by classify, read by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct count);
} marked SEC(".maps");

/* The bandwidth class of a packet that goes into a tunnel: the record's; where it names none, that of the code point, if the
 * segment that the packet came from is trusted to set it. */
INLINE __u8 class_by_mark(const struct tables *t, const struct segment *from, const struct packet *p, __u8 bwclass)
{
	__u32 dscp = p->tos >> 2;
	struct count *c;

	if (bwclass || !from->trust_dscp)
		return bwclass;
	bwclass = t->head->dscp[dscp & 63];
	c = bwclass ? bpf_map_lookup_elem(&marked, &dscp) : 0;
	if (c)
		add(c, p->length);
	return bwclass;
}

#endif
