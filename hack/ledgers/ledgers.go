// Package ledgers makes the ledger of designated communications that a town hall like the lab's would keep in Excel.
//
// Problem: an import is only shown to work on a ledger that looks like one, and no town's own may be shown. Mechanism: the
// sections of a town, the systems that each of them uses, and the hands that typed it in: headings over two rows, 〃, dates of
// the Japanese calendar and serial ones, full-width digits, several values in a cell. Addresses come from the segments of the
// document that the ledger is for. Life cycle: Write makes a file, whole and anew. Invariant: equal arguments give the same
// cells; no row is one that the import refuses, and none joins My Number and the internet.
package ledgers

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/japanese"

	"github.com/sekisho/sekisho/controlplane/config"
)

// Sheet is the name of the ledger's sheet.
const Sheet = "特定通信一覧"

// Write makes a ledger of so many rows for the lab's document: path ends in .xlsx, or in .csv for Shift_JIS as Excel writes it.
// There are stations and systems for up to Most rows. The error tells a segment that cfg lacks.
func Write(path string, cfg *config.Config, rows int) error {
	b := &book{cfg: cfg}
	if err := b.fill(rows); err != nil {
		return fmt.Errorf("make ledger %s: %w", path, err)
	}
	var out []byte
	var err error
	switch filepath.Ext(path) {
	case ".xlsx":
		out, err = b.workbook()
	case ".csv":
		out, err = b.csv()
	default:
		err = fmt.Errorf("want a name that ends in .xlsx or .csv")
	}
	if err != nil {
		return fmt.Errorf("make ledger %s: %w", path, err)
	}
	return os.WriteFile(path, out, 0o644)
}

// heading is what stands above the data: a title, the date, and a heading of two rows.
var heading = [][]any{
	{"特定通信管理台帳"},
	{"", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "令和8年4月1日現在"},
	{},
	{"管理番号", "通信名称", "送信元", "", "", "宛先", "", "プロトコル", "ポート番号", "帯域クラス", "利用目的", "根拠", "所管課", "承認", "", "有効期間", "", "見直し期限", "曜日・時間帯", "状態", "備考"},
	{"", "", "端末", "IPアドレス", "MACアドレス", "名称", "IPアドレス", "", "", "", "", "", "", "承認者", "承認日", "開始日", "終了日", "", "", "", ""},
}

// merged are the heading's merged cells.
var merged = []string{"A1:U1", "A4:A5", "B4:B5", "C4:E4", "F4:G4", "H4:H5", "I4:I5", "J4:J5", "K4:K5", "L4:L5", "M4:M5", "N4:O4", "P4:Q4", "R4:R5", "S4:S5", "T4:T5", "U4:U5"}

// book collects the table.
type book struct {
	cfg   *config.Config
	table [][]any
}

func (b *book) fill(rows int) error {
	if rows < 1 || rows > Most() {
		return fmt.Errorf("%d rows: want 1 to %d", rows, Most())
	}
	b.table = append(b.table, heading...)
	last := ""
	for i, w := range plan(rows) {
		if w.section.name != last {
			if last != "" {
				b.table = append(b.table, []any{})
			}
			b.table = append(b.table, []any{"【" + w.section.name + "】"})
		}
		row, err := b.row(i, w, w.section.name == last)
		if err != nil {
			return err
		}
		b.table = append(b.table, row)
		last = w.section.name
	}
	b.table = append(b.table, []any{"以上"})
	return nil
}

// address is the n-th of a segment's first IPv4 prefix.
func (b *book) address(segment string, n int) (netip.Addr, error) {
	for _, s := range b.cfg.Segments {
		if s.ID != segment {
			continue
		}
		for _, p := range s.Prefixes {
			if p.Addr().Is4() {
				a := p.Addr().As4()
				a[3] += byte(n)
				return netip.AddrFrom4(a), nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("the configuration has no segment %s with IPv4", segment)
}

// row writes one communication as the person of that row would have.
func (b *book) row(i int, w work, sameSection bool) ([]any, error) {
	names := w.names
	var addrs, macs []string
	for _, n := range w.stations {
		a, err := b.address(w.section.segment, w.section.first+n)
		if err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprintf("%s端末%d", strings.TrimSuffix(w.section.name, "課"), n+1))
		addrs = append(addrs, a.String())
		macs = append(macs, mac(i, w.section.card, w.section.first+n))
	}
	address := ""
	if w.system.segment != "" {
		to, err := b.address(w.system.segment, w.system.host)
		if err != nil {
			return nil, err
		}
		address = to.String()
		if i%9 == 5 {
			address += "/32"
		}
	}
	owner := any(w.section.name)
	approver := any("情報管理室長")
	approved, until, review := date(i, 2026, 3, 20+i%8), date(i+1, 2027+i%3, 3, 31), date(i+2, 2027, 1, 31)
	if sameSection && i%3 == 1 {
		owner, approver, approved = "〃", "〃", "〃"
	}
	proto, port := ports(i, w.system)
	state := []any{"", "有効", "運用中"}[i%3]
	if i%40 == 39 {
		state = "停止中"
	}
	return []any{
		fmt.Sprintf("T-%03d", i+1), w.system.name + "（" + w.section.name + "）", strings.Join(names, "\n"), wide(i, strings.Join(addrs, "\n")), strings.Join(macs, "\n"),
		w.system.name, wide(i+3, address), proto, port, w.system.class, w.system.purpose, w.system.basis, owner, approver, approved, date(i+3, 2026, 4, 1), until, review,
		w.system.window, state, w.remark,
	}, nil
}

// mac writes a card's address in one of the usual ways.
func mac(i int, card byte, n int) string {
	s := fmt.Sprintf("02:53:4b:%02x:01:%02x", card, n)
	switch i % 4 {
	case 1:
		return strings.ToUpper(strings.ReplaceAll(s, ":", "-"))
	case 2:
		return strings.ReplaceAll(s, ":", "")
	}
	return s
}

// date writes a day in one of the usual ways; a number is Excel's own.
func date(i, year, month, day int) any {
	switch i % 6 {
	case 0:
		return fmt.Sprintf("令和%d年%d月%d日", year-2018, month, day)
	case 1:
		return fmt.Sprintf("R%d.%d.%d", year-2018, month, day)
	case 2:
		return fmt.Sprintf("%d/%d/%d", year, month, day)
	case 3:
		return serial(year, month, day)
	case 4:
		return wide(0, fmt.Sprintf("令和%d年%d月%d日", year-2018, month, day))
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, month, day)
}

// ports writes protocol and port in one of the usual ways.
func ports(i int, s system) (proto, port any) {
	names := strings.Split(s.protos, "/")
	switch {
	case len(names) > 1:
		return strings.Join(names, "/"), s.port
	case i%5 == 1:
		return "", s.protos + "/" + s.port
	case i%5 == 2 && s.port == "443":
		return "TCP", "HTTPS（443）"
	case i%5 == 3:
		return wide(0, s.protos), wide(0, s.port)
	case i%5 == 4:
		return s.protos, strings.ReplaceAll(s.port, "-", "～")
	}
	return s.protos, s.port
}

// wide writes digits and letters in full width, every seventh time.
func wide(i int, s string) string {
	if i%7 != 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r + 0xFEE0
		}
		return r
	}, s)
}

func (b *book) workbook() ([]byte, error) {
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName("Sheet1", Sheet); err != nil {
		return nil, err
	}
	day, err := f.NewStyle(&excelize.Style{NumFmt: 14})
	if err != nil {
		return nil, err
	}
	for i := range b.table {
		at, err := excelize.CoordinatesToCellName(1, i+1)
		if err == nil {
			err = f.SetSheetRow(Sheet, at, &b.table[i])
		}
		if err != nil {
			return nil, err
		}
		for j, v := range b.table[i] {
			if _, number := v.(int); number {
				at, _ := excelize.CoordinatesToCellName(j+1, i+1)
				if err := f.SetCellStyle(Sheet, at, at, day); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, m := range merged {
		from, to, _ := strings.Cut(m, ":")
		if err := f.MergeCell(Sheet, from, to); err != nil {
			return nil, err
		}
	}
	if err := f.SetColWidth(Sheet, "A", "U", 16); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = f.Write(&out)
	return out.Bytes(), err
}

// csv is the same table in Shift_JIS; Excel writes serial dates as days.
func (b *book) csv() ([]byte, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	w.UseCRLF = true
	for _, row := range b.table {
		cells := make([]string, len(heading[3]))
		for i, v := range row {
			if n, number := v.(int); number {
				v = dayOf(n).Format("2006/1/2")
			}
			cells[i] = fmt.Sprint(v)
		}
		if err := w.Write(cells); err != nil {
			return nil, err
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return nil, err
	}
	return japanese.ShiftJIS.NewEncoder().Bytes(text.Bytes())
}
