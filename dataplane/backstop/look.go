package backstop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Print tells rules apart: a hash of all that the kernel shows of the table, save what differs from one installation of the same
// rules to the next (handles, numbers of uses) and what counters count.
type Print [sha256.Size]byte

// Look takes the print of what stands in this network namespace; the zero Print when there is no table.
func Look() (Print, error) {
	k, err := dial()
	if err != nil {
		return Print{}, fmt.Errorf("look at the backstop: %w", err)
	}
	defer k.Close()
	p, err := k.look()
	if err != nil {
		return Print{}, fmt.Errorf("look at the backstop: %w", err)
	}
	return p, nil
}

// Changes calls tell whenever somebody changed any rules in this network namespace, Install included, until ctx ends.
func Changes(ctx context.Context, tell func()) error {
	k, err := dial()
	if err != nil {
		return fmt.Errorf("listen to changes of the backstop: %w", err)
	}
	defer k.Close()
	defer context.AfterFunc(ctx, func() { k.Close() })()
	if err := k.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return fmt.Errorf("listen to changes of the backstop: %w", err)
	}
	tell() // about what changed before
	for {
		// A reader that is too slow is told by ENOBUFS that it missed some.
		if _, err := k.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen to changes of the backstop: %w", err)
		}
		tell()
	}
}

// kernel speaks to nf_tables in the netlink attributes of linux/netfilter/nf_tables.h: the print must hold what a library that
// decodes rules may pass over.
type kernel struct{ *netlink.Conn }

func dial() (kernel, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return kernel{}, err
	}
	return kernel{c}, roomy(c)
}

// ask sends one request and gives the attributes of each answer. dump: of all objects of a kind.
func (k kernel) ask(what int, dump bool, attrs ...netlink.Attribute) ([][]byte, error) {
	b, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		return nil, err
	}
	const nfgenmsg = 4 // family, version, resource id
	flags := netlink.Request
	if dump {
		flags |= netlink.Dump
	}
	answers, err := k.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | what), Flags: flags},
		Data:   append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, b...),
	})
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, m := range answers {
		if len(m.Data) < nfgenmsg {
			return nil, fmt.Errorf("an answer of %d bytes", len(m.Data))
		}
		if m.Data[0] == unix.NFPROTO_INET || what == unix.NFT_MSG_GETGEN {
			out = append(out, m.Data[nfgenmsg:])
		}
	}
	return out, nil
}

// generation numbers the transactions of this network namespace.
func (k kernel) generation() (uint32, error) {
	answers, err := k.ask(unix.NFT_MSG_GETGEN, false)
	if err != nil {
		return 0, err
	}
	for _, a := range answers {
		attrs, err := netlink.UnmarshalAttributes(a)
		if err != nil {
			return 0, err
		}
		for _, x := range attrs {
			if x.Type == unix.NFTA_GEN_ID && len(x.Data) == 4 {
				return binary.BigEndian.Uint32(x.Data), nil
			}
		}
	}
	return 0, errors.New("the kernel does not tell the generation of its rules")
}

const named = netlink.Nested - 1 // attribute types without the nested flag

// look reads everything between two equal generations.
func (k kernel) look() (Print, error) {
	for range 5 {
		before, err := k.generation()
		if err != nil {
			return Print{}, err
		}
		p, err := k.dump()
		if err != nil && !errors.Is(err, unix.ENOENT) { // a set that was there a moment ago
			return Print{}, err
		}
		after, err2 := k.generation()
		if err2 != nil {
			return Print{}, err2
		}
		if err == nil && before == after {
			return p, nil
		}
	}
	return Print{}, errors.New("somebody changes rules all the time")
}

// part is one kind of object: how it is asked for, which attribute names its table, and which ones differ from time to time.
type part struct {
	get       int
	table     uint16
	ephemeral []uint16
}

const ( // not in x/sys
	tableHandle = 4
	setHandle   = 16
)

var parts = []part{
	{unix.NFT_MSG_GETTABLE, unix.NFTA_TABLE_NAME, []uint16{unix.NFTA_TABLE_USE, tableHandle}},
	{unix.NFT_MSG_GETCHAIN, unix.NFTA_CHAIN_TABLE, []uint16{unix.NFTA_CHAIN_USE, unix.NFTA_CHAIN_HANDLE}},
	{unix.NFT_MSG_GETRULE, unix.NFTA_RULE_TABLE, []uint16{unix.NFTA_RULE_HANDLE, unix.NFTA_RULE_POSITION}},
	{unix.NFT_MSG_GETSET, unix.NFTA_SET_TABLE, []uint16{setHandle}},
}

func (k kernel) dump() (Print, error) {
	h := sha256.New()
	found := false
	write := func(b []byte) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, p := range parts {
		answers, err := k.ask(p.get, true)
		if err != nil {
			return Print{}, err
		}
		for _, a := range answers {
			attrs, err := netlink.UnmarshalAttributes(a)
			if err != nil {
				return Print{}, err
			}
			if !belongs(attrs, p.table) {
				continue
			}
			found = true
			attrs = slices.DeleteFunc(attrs, func(x netlink.Attribute) bool { return slices.Contains(p.ephemeral, x.Type&named) })
			b, err := netlink.MarshalAttributes(attrs)
			if err != nil {
				return Print{}, err
			}
			write([]byte{byte(p.get)})
			write(b)
			if p.get == unix.NFT_MSG_GETSET {
				elements, err := k.elements(attrs)
				if err != nil {
					return Print{}, err
				}
				for _, e := range elements {
					write(e)
				}
			}
		}
	}
	if !found {
		return Print{}, nil
	}
	return Print(h.Sum(nil)), nil
}

func belongs(attrs []netlink.Attribute, table uint16) bool {
	return slices.ContainsFunc(attrs, func(x netlink.Attribute) bool {
		return x.Type&named == table && string(bytes.TrimRight(x.Data, "\x00")) == Table
	})
}

// elements of a set, in an order that does not depend on its hash table.
func (k kernel) elements(set []netlink.Attribute) ([][]byte, error) {
	request := []netlink.Attribute{{Type: unix.NFTA_SET_ELEM_LIST_TABLE, Data: []byte(Table + "\x00")}}
	for _, x := range set {
		if x.Type&named == unix.NFTA_SET_NAME {
			request = append(request, netlink.Attribute{Type: unix.NFTA_SET_ELEM_LIST_SET, Data: x.Data})
		}
	}
	answers, err := k.ask(unix.NFT_MSG_GETSETELEM, true, request...)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, a := range answers {
		attrs, err := netlink.UnmarshalAttributes(a)
		if err != nil {
			return nil, err
		}
		for _, x := range attrs {
			if x.Type&named != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
				continue
			}
			list, err := netlink.UnmarshalAttributes(x.Data)
			if err != nil {
				return nil, err
			}
			for _, e := range list {
				out = append(out, e.Data)
			}
		}
	}
	slices.SortFunc(out, bytes.Compare)
	return out, nil
}
