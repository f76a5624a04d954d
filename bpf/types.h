/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the steps share: addresses, keys and values of the maps, and one packet as the parser understood it.
 *
 * Return convention of every step: PASS (0) means go on, anything else is the reason to drop.
 */
#ifndef SEKISHO_TYPES_H
#define SEKISHO_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "reason.h"

#define INLINE static __always_inline

/* Ticks a second: what bpf_jiffies64 counts. Set by the loader. */
const volatile __u32 hz = 250;

#define MAX_DEVICES 256
#define MAX_SEGMENTS 1024
#define MAX_WINDOWS 256
#define MAX_ZONES 8 /* anchors.Zone, rounded up */
#define ZONE_MY_NUMBER 1
#define ZONE_INTERNET 3
#define ZONE_MANAGEMENT 4 /* this and the uplink after it join no other zone */
#define ZONE_UPLINK 5
#define MAC_LEN 6

/* Protocols by IANA number, and the few fields of theirs that decide. */
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_SVLAN 0x88a8
#define ETHERTYPE_IP6 0x86dd

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMP6 58
#define PROTO_SCTP 132

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define ICMP_REPLY 0
#define ICMP_REQUEST 8
#define ICMP6_REQUEST 128
#define ICMP6_REPLY 129
#define ND_FIRST 133 /* router solicitation */
#define ND_RA 134
#define ND_NS 135
#define ND_NA 136
#define ND_LAST 137 /* redirect */

/* An address; IPv4 as ::ffff:a.b.c.d. Network order. */
union addr {
	__u8 b[16];
	__u32 w[4];
};

/* One ingress: entry of the image's segments, by number. */
struct segment {
	__u16 device; /* 0: this number is not used */
	__u16 vlan;
	__u16 outer; /* VID of the service tag around vlan; 0: none */
	__u8 zone;
	__u8 strict;
	__u8 tunnel;
	__u8 multicast; /* groups stand for the gate's own classes below */
	__u8 routers;
	__u8 dhcp_servers;
	__u16 group4; /* class that IPv4 groups stand for; 0: none. This and the next two are derived, see groups.go. */
	__u16 group6;
	__be32 broadcast; /* the directed broadcast; 0: none */
	__u8 trust_dscp;  /* what its stations mark their packets with chooses a bandwidth class where no record does */
	__u8 rest[11];
};

/* What the initiators of one segment may take of the flow table; 0: no bound of its own. */
struct limits {
	__u32 flows;         /* live flows of the whole segment */
	__u32 rate;          /* new ones a second */
	__u32 station_flows; /* the same for one source address */
	__u32 station_rate;
};

/* What is known of an address. */
struct binding {
	__u16 class; /* 0: not used */
	__u16 segment;
	__u8 mac[MAC_LEN]; /* zero: none registered */
	__u16 spare;
};

/* A registered MAC of a segment, derived from hosts and prefixes: entry of the image's stations, a cuckoo table with 8 in a
 * bucket. All zero: not used. */
struct station {
	__u16 segment;
	__u8 mac[MAC_LEN];
};

enum kind {
	KIND_FORWARD = 1,
	KIND_TUNNEL = 2,
	KIND_LOCAL = 3,
};

struct address_class {
	__u16 segment;
	__u8 kind; /* 0: this number is not used */
	__u8 onlink;
	__u16 device;
	__u16 vlan;
	__u16 outer; /* as in struct segment */
	__u16 spare[3];
	union addr via4; /* zero: none */
	union addr via6;
	__u8 rest[16];
};

/* A permission: entry of the image's cells, a cuckoo table with 4 in a bucket. */
struct cell {
	__u16 src; /* class; 0: not used */
	__u16 dst;
	__u16 port; /* class */
	__u8 bwclass;
	__u8 flags; /* none yet */
	__u32 rule;
	__u32 spare;
};

/* When the cells of a rule are in force: entry of the image's rules, by number. */
struct rule {
	__u32 from;  /* first minute since 1970 UTC in force; 0: since ever */
	__u32 until; /* first minute no longer in force; 0: no end */
	__u8 window; /* 0: always */
	__u8 used;   /* 0: no rule has this number */
	__u16 spare;
	__u32 next; /* greater number of the rule to ask when this one is not in force; 0: none */
};

#define RULE_CHAIN 8 /* rules that are asked about one cell */
#define WINDOW_SPANS 8

/* The minutes of a week, from Monday 00:00 UTC, in which a rule with this window is in force: from <= minute < to. In
 * order, apart from each other; behind the last one zeros. */
struct window {
	struct {
		__u16 from;
		__u16 to;
	} spans[WINDOW_SPANS];
};

struct count {
	__u64 packets;
	__u64 bytes;
};

/* A guarded device of the anchors, by its number. Written by the loader at each scan. */
struct device {
	char name[16];
	__u32 ifindex; /* 0: not there or not guarded */
	__u8 mac[MAC_LEN];
	__u8 tunnel;
	__u8 bundle; /* of a tunnel that shares segments with others: number of the device that stands for them all; 0: none */
};

/* In front of a packet that XDP lets up the stack. */
struct metadata {
	__u32 mark;
	__u16 vlan;
	__u16 pad;
};

/* mark = magic << 16 | ingress segment << 6 | bandwidth class */
INLINE __u32 mark_of(__u16 magic, __u16 segment, __u8 bwclass)
{
	return (__u32)magic << 16 | (segment & 0x3ff) << 6 | (bwclass & 0x3f);
}

enum family {
	FAMILY_ARP = 1,
	FAMILY_IP4 = 4,
	FAMILY_IP6 = 6,
};

enum piece {
	PIECE_WHOLE = 0,
	PIECE_FIRST = 1, /* with its whole L4 header */
	PIECE_LATER = 2, /* ports, type and flags are not known */
};

/* One packet as the parser understood it. Numbers in host order, addresses in network order. */
struct packet {
	union addr src; /* ARP: sender's */
	union addr dst; /* ARP: target's */
	__u32 length;   /* bytes of the frame */
	__u32 l3;       /* offset of the network header in the frame */
	__u32 l3_length;
	__u32 l4_length; /* by the IP header, without padding of the frame; of this piece */
	__u32 piece_id;  /* of a fragment: its identification */
	__u32 rule;      /* what the steps found out, for whoever observes: the rule that permits it, */
	__u32 epoch;     /* the tables that decided, */
	__u16 to;        /* and the segment it goes to; 0: not known */
	__u16 vlan;      /* of the only tag, or of the inner one; 0: none */
	__u16 walked;    /* bytes of IPv6 extension headers (IPv4: scratch of the parser) */
	__u16 l4;        /* offset of the L4 header in the frame */
	__u16 outer;     /* of the tag around vlan; 0: none */
	__u16 tag;       /* of the first tag as it stood in the frame, 0 when there was none */
	__u16 piece_at;  /* of a fragment: where it belongs, bytes */
	__u16 piece_to;  /* where what follows it belongs */
	__u16 sport;     /* ICMP echo: the identifier */
	__u16 dport;     /* ICMP echo: the identifier */
	__u8 smac[MAC_LEN];
	__u8 dmac[MAC_LEN];
	__u8 family;
	__u8 proto;
	__u8 ttl;
	__u8 tos;
	__u8 tcp_flags;
	__u8 type; /* ICMP type; ARP operation */
	__u8 code;
	__u8 arp_mac_ok; /* ARP: hardware sender equals the frame's */
	__u8 piece;      /* PIECE_*; every step after the parser must ask */
	__u8 piece_more;
	__u8 piece_proto;  /* what the fragment header names; with extension headers not yet the protocol */
	__u8 ip6_fragment; /* there was a fragment header */
};

INLINE int same_addr(const union addr *a, const union addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

INLINE int no_addr(const union addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

INLINE void map_ip4(union addr *a, __u32 ip)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = ip;
}

INLINE int same_mac(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

INLINE int no_mac(const __u8 *a)
{
	return !(a[0] | a[1] | a[2] | a[3] | a[4] | a[5]);
}

#endif
