/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 2: segment. Which device is this, and with the VLAN tag, which segment. Unknown: no.
 */
#ifndef SEKISHO_SEGMENT_H
#define SEKISHO_SEGMENT_H

#include "image.h"

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

/* By ifindex, all of them. Written by the loader at each scan. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048); /* devices, and the kernel's VLAN devices on them */
	__type(key, __u32);
	__type(value, struct device_tags);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} device_index SEC(".maps");

/* The same once more for low ones, as they nearly always are: a hash costs 30 ns, and the first packet of a flow asks twice. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct device_tags);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} device_low_index SEC(".maps");

/* What a kernel device is to us, or null. */
INLINE struct device_tags *tags_of_device(__u32 ifindex)
{
	struct device_tags *known = bpf_map_lookup_elem(&device_low_index, &ifindex);

	if (!known)
		return bpf_map_lookup_elem(&device_index, &ifindex);
	return known->device ? known : 0;
}

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
	struct device_tags *known = tags_of_device(ifindex);

	if (!known)
		return DROP_SEGMENT_UNKNOWN;
	in->device = known->device;
	in->port = bpf_map_lookup_elem(&devices, &in->device);
	return in->port && in->port->ifindex == ifindex ? PASS : DROP_SEGMENT_UNKNOWN;
}

/* Is what hangs on device "number" reached by this one, too? Tunnels of one bundle are one place. */
INLINE int same_place(__u32 number, __u32 device, const struct device *known)
{
	struct device *other;

	if (number == device)
		return 1;
	if (!known->bundle)
		return 0;
	other = bpf_map_lookup_elem(&devices, &number);
	return other && other->bundle == known->bundle;
}

/* The segment that a port and up to two tags name; 0: none. A frame with one tag has it in vlan. */
INLINE __u32 segment_by_tags(const struct tables *t, __u32 device, __u16 outer, __u16 vlan)
{
	const struct image_port *port = &t->head->devices[device & (MAX_DEVICES - 1)];
	__u16 first = outer ? outer : vlan, second = outer ? vlan : 0;
	__u16 *block;
	__u16 value;

	if (!first)
		return second ? 0 : port->segment;
	if (!port->vlans)
		return 0;
	block = image_entry(t, &t->head->vlans, port->vlans, VLAN_BLOCK_SHIFT);
	value = block ? block[first & 0xfff] : 0;
	if (!(value & VLAN_INNER))
		return second ? 0 : value;
	block = image_entry(t, &t->head->vlans, value & ~VLAN_INNER, VLAN_BLOCK_SHIFT);
	return block ? block[second & 0xfff] : 0;
}

INLINE int segment_of_port(const struct tables *t, __u32 ifindex, const struct packet *p, struct ingress *in)
{
	int reason = device_of(ifindex, in);

	if (reason)
		return reason;
	in->number = segment_by_tags(t, in->device, p->outer, p->vlan);
	in->segment = in->number ? segment_of(t, in->number) : 0;
	return in->segment && !in->segment->tunnel ? PASS : DROP_SEGMENT_UNKNOWN;
}

#endif
