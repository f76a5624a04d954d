package pdf

import (
	"strings"
	"sync"
)

// shapes says what is written in the dictionary of each kind: after the kind's name, keys with what stands there. num int bool str
// name are values; /Word is that name; @Kind an object of a kind, by reference or in place; [x] an array of x, {x} a dictionary of
// any names; (x) a check of its own (checks); | parts alternatives. A kind with ~ is a stream; ! marks keys that have to be there.
const shapes = `
Catalog Type=/Catalog! Pages=@Pages! Outlines=@Outlines PageLabels=@Labels Names=@Names Dests={(dest)} PageMode=/UseNone|/UseOutlines|/UseOC PageLayout=name Lang=str ViewerPreferences=@Preferences OCProperties=@Layers
Pages Type=/Pages! Kids=[@Page]! Count=int!
Labels Nums=[int|@Label]!
Label S=/D|/R|/r|/A|/a P=str St=int
Names Dests=@Places EmbeddedFiles=@Attachments
Attachments Names=[str|@FileSpec]!
FileSpec Type=/Filespec! F=str UF=str! EF=@AttachedFile!
AttachedFile F=@Attachment!
Attachment~ Type=/EmbeddedFile!
Places Names=[str|(dest)]!
Preferences Direction=name PrintScaling=name Duplex=name
Page Type=/Page! Parent=@Pages! MediaBox=[num]! CropBox=[num] BleedBox=[num] TrimBox=[num] ArtBox=[num] Rotate=int UserUnit=num Group=@Group Tabs=name Resources=@Resources Contents=@Contents Annots=[@Annotation]
Contents~
Resources Font={@Font} XObject={@XObject} ExtGState={@ExtGState} ColorSpace={(colour)} Pattern={@Pattern} Shading={@Shading} Properties={@Properties}
Group Type=/Group S=/Transparency! CS=(colour) I=bool K=bool
ExtGState Type=/ExtGState LW=num LC=int LJ=int ML=num D=[num|[num]] RI=name OP=bool op=bool OPM=int Font=[@Font|num] BG=@Function BG2=@Function|name UCR=@Function UCR2=@Function|name TR=name|@Function|[@Function] TR2=name|@Function|[@Function] FL=num SM=num SA=bool BM=name|[name] SMask=/None|@SoftMask CA=num ca=num AIS=bool TK=bool
SoftMask Type=/Mask S=/Alpha|/Luminosity! G=@Form! BC=[num] TR=name|@Function
Properties Type=name MCID=int ActualText=str Alt=str E=str Lang=str Subtype=name
Layer Type=/OCG! Name=str! Intent=name|[name]
Membership Type=/OCMD! OCGs=@Layer|[@Layer] P=name VE=(expression)
Layers OCGs=[@Layer] D=@LayerView!
LayerView Name=str BaseState=name ON=[@Layer] OFF=[@Layer] Intent=name|[name] Order=(order) ListMode=name RBGroups=[[@Layer]] Locked=[@Layer]
TilingPattern~ Type=/Pattern PatternType=int PaintType=int TilingType=int BBox=[num]! XStep=num! YStep=num! Resources=@Resources Matrix=[num]
ShadingPattern Type=/Pattern PatternType=int Shading=@Shading! Matrix=[num] ExtGState=@ExtGState
Shading ShadingType=int! ColorSpace=(colour)! Background=[num] BBox=[num] AntiAlias=bool Domain=[num] Matrix=[num] Function=@Function|[@Function] Coords=[num] Extend=[bool]
Mesh~ ShadingType=int! ColorSpace=(colour)! Background=[num] BBox=[num] AntiAlias=bool Function=@Function|[@Function] BitsPerCoordinate=int! BitsPerComponent=int! BitsPerFlag=int Decode=[num]! VerticesPerRow=int
Function FunctionType=int! Domain=[num]! Range=[num] C0=[num] C1=[num] N=num Functions=[@Function] Bounds=[num] Encode=[num]
Samples~ FunctionType=int! Domain=[num]! Range=[num]! Size=[int]! BitsPerSample=int! Order=int Encode=[num] Decode=[num]
Calculator~ FunctionType=int! Domain=[num]! Range=[num]!
Profile~ N=int! Alternate=(colour) Range=[num]
CalGray WhitePoint=[num] BlackPoint=[num] Gamma=num
CalRGB WhitePoint=[num] BlackPoint=[num] Gamma=[num] Matrix=[num]
Lab WhitePoint=[num] BlackPoint=[num] Range=[num]
Lookup~
Colorants Subtype=name Colorants={(colour)}
Form~ Type=/XObject Subtype=/Form! BBox=[num]! Matrix=[num] Resources=@Resources Group=@Group OC=@Optional StructParent=int StructParents=int
Image~ Type=/XObject Subtype=/Image! Width=int! Height=int! ColorSpace=(colour) BitsPerComponent=int Decode=[num] Intent=name ImageMask=bool Mask=[int]|@Image SMask=@Image Matte=[num] Interpolate=bool OC=@Optional StructParent=int
Outlines Type=/Outlines First=@Outline Last=@Outline Count=int
Outline Title=str! Parent=@OutlineParent Prev=@Outline Next=@Outline First=@Outline Last=@Outline Count=int Dest=(dest) A=@Action C=[num] F=int
SimpleFont Type=/Font! Subtype=/Type1|/MMType1|/TrueType! BaseFont=name FirstChar=int LastChar=int Widths=[num] FontDescriptor=@Descriptor Encoding=name|@Encoding ToUnicode=name|@ToUnicode
Type3Font Type=/Font! Subtype=/Type3! FontBBox=[num] FontMatrix=[num]! CharProcs={@Glyph}! FirstChar=int LastChar=int Widths=[num] FontDescriptor=@Descriptor Encoding=name|@Encoding Resources=@Resources ToUnicode=name|@ToUnicode
Type0Font Type=/Font! Subtype=/Type0! BaseFont=name Encoding=name|@CMap! DescendantFonts=[@CIDFont]! ToUnicode=name|@ToUnicode
CIDFont Type=/Font! Subtype=/CIDFontType0|/CIDFontType2! BaseFont=name CIDSystemInfo=@System! FontDescriptor=@Descriptor DW=num W=[num|[num]] DW2=[num] W2=[num|[num]] CIDToGIDMap=/Identity|@GlyphMap
Glyph~ Resources=@Resources
System Registry=str Ordering=str Supplement=int
Encoding Type=/Encoding BaseEncoding=name Differences=[int|name]
Descriptor Type=/FontDescriptor FontName=name FontFamily=str FontStretch=name FontWeight=num Flags=int FontBBox=[num] ItalicAngle=num Ascent=num Descent=num Leading=num CapHeight=num XHeight=num StemV=num StemH=num AvgWidth=num MaxWidth=num MissingWidth=num FontFile=@Type1Program FontFile2=@TrueTypeProgram FontFile3=@CompactProgram Lang=name
GlyphMap~
CMap~ Type=/CMap CMapName=name! CIDSystemInfo=@System WMode=int UseCMap=name
ToUnicode~
Type1Program~ Length1=int! Length2=int! Length3=int!
TrueTypeProgram~ Length1=int!
CompactProgram~ Subtype=/Type1C|/CIDFontType0C|/OpenType!
Action S=/URI|/GoTo|/Named! URI=(address) D=(dest) N=/NextPage|/PrevPage|/FirstPage|/LastPage
Link Type=/Annot! Subtype=/Link! Rect=[num]! Contents=str F=int Border=[num|[num]] C=[num] OC=@Optional A=@Action Dest=(dest) H=name QuadPoints=[num] BS=@BorderStyle
Markup Type=/Annot! Subtype=/Text|/FreeText|/Line|/Square|/Circle|/Polygon|/PolyLine|/Highlight|/Underline|/Squiggly|/StrikeOut|/Caret|/Stamp|/Ink|/Popup! Rect=[num]! Contents=str F=int AP=@Appearances AS=name Border=[num|[num]] C=[num] OC=@Optional CA=num ca=num BM=name Lang=str T=str Popup=@Annotation IRT=@Annotation RT=name Subj=str IT=name Open=bool Name=name State=str StateModel=str DA=(appearance) Q=int CL=[num] BE=@BorderEffect RD=[num] BS=@BorderStyle LE=name|[name] L=[num] IC=[num] LL=num LLE=num LLO=num Cap=bool CP=name CO=[num] Vertices=[num] QuadPoints=[num] Sy=name InkList=[[num]] Parent=@Annotation
Appearances N=@Form|{@Form}!
BorderStyle W=num S=name D=[num]
BorderEffect S=name I=num
`

// shape is one kind's line.
type shape struct {
	stream bool
	keys   map[string]*want
	must   []string
}

// want is what may stand in one place.
type want struct {
	t    byte // 'v' value, '/' name, '@' kind, '[' array, '{' dictionary, '(' check, '|' any of
	s    string
	kids []*want
}

var table = sync.OnceValue(func() map[string]*shape {
	m := map[string]*shape{}
	for _, line := range strings.Split(strings.TrimSpace(shapes), "\n") {
		words := strings.Fields(line)
		kind, stream := strings.CutSuffix(words[0], "~")
		s := &shape{stream: stream, keys: map[string]*want{}}
		for _, w := range words[1:] {
			key, what, _ := strings.Cut(w, "=")
			what, must := strings.CutSuffix(what, "!")
			if must {
				s.must = append(s.must, key)
			}
			s.keys[key], _ = wanted(what)
		}
		m[kind] = s
	}
	return m
})

// wanted reads alternatives up to a closing bracket, and answers what follows.
func wanted(s string) (*want, string) {
	var all []*want
	for {
		w := &want{}
		switch s[0] {
		case '[', '{':
			k, rest := wanted(s[1:])
			w.t, w.s, w.kids, s = s[0], s[1:len(s)-len(rest)], []*want{k}, rest[1:]
		case '(':
			end := strings.IndexByte(s, ')')
			w.t, w.s, s = '(', s[1:end], s[end+1:]
		default:
			end := strings.IndexAny(s, "|]}")
			if end < 0 {
				end = len(s)
			}
			w.t, w.s = 'v', s[:end]
			if s[0] == '/' || s[0] == '@' {
				w.t, w.s = s[0], s[1:end]
			}
			s = s[end:]
		}
		all = append(all, w)
		if s == "" || s[0] != '|' {
			break
		}
		s = s[1:]
	}
	if len(all) == 1 {
		return all[0], s
	}
	return &want{t: '|', kids: all}, s
}
