/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 2: segment. Which device is this, and with the VLAN tag, which segment. Unknown: no.
 */
#ifndef SEKISHO_SEGMENT_H
#define SEKISHO_SEGMENT_H

#include "tables.h"

/* Guarded devices by number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_DEVICES);
	__type(key, __u32);
	__type(value, struct device);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} devices SEC(".maps");

/* What a kernel device is to us: a guarded device, or a VLAN of one. */
struct device_tags {
	__u16 device; /* number */
	__u16 vlan;   /* 0: the device itself */
	__u16 outer;
	__u16 pad;
};

/* By ifindex. Written by the loader at each scan. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048); /* devices, and the kernel's VLAN devices on them */
	__type(key, __u32);
	__type(value, struct device_tags);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} device_index SEC(".maps");

/* Random per pin directory; the loader writes it once and freezes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} boot SEC(".maps");

/* 0: not set, nothing may pass. */
INLINE __u16 boot_magic(void)
{
	__u32 zero = 0;
	__u32 *magic = bpf_map_lookup_elem(&boot, &zero);

	return magic ? (__u16)*magic : 0;
}

/* Where a packet came in. */
struct ingress {
	__u32 device; /* number */
	__u32 number; /* of the segment */
	struct segment *segment;
	struct device *port;
};

INLINE int device_of(__u32 ifindex, struct ingress *in)
{
	struct device_tags *known = bpf_map_lookup_elem(&device_index, &ifindex);

	if (!known)
		return DROP_SEGMENT_UNKNOWN;
	in->device = known->device;
	in->port = bpf_map_lookup_elem(&devices, &in->device);
	return in->port && in->port->ifindex == ifindex ? PASS : DROP_SEGMENT_UNKNOWN;
}

INLINE int segment_of_port(const struct tables *t, __u32 ifindex, const struct packet *p, struct ingress *in)
{
	struct segment_key key = {.vlan = p->vlan};
	__u32 *number;
	void *table;
	int reason = device_of(ifindex, in);

	if (reason)
		return reason;
	if (p->outer)
		return DROP_SEGMENT_UNKNOWN;
	key.device = in->device;
	table = bpf_map_lookup_elem(&segment_index, &t->slot);
	number = table ? bpf_map_lookup_elem(table, &key) : 0;
	if (!number)
		return DROP_SEGMENT_UNKNOWN;
	in->number = *number;
	in->segment = segment_of(t, in->number);
	return in->segment && !in->segment->tunnel ? PASS : DROP_SEGMENT_UNKNOWN;
}

#endif
