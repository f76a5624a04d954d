package pdf

import "maps"

// table says what may be in the dictionaries of a page, by kind (ISO 32000-2; the numbers are its clauses). What is not named here
// is not written. Fonts, annotations and pictures have tables of their own.
func table() map[string]kind {
	m := map[string]kind{
		// 7.8.3
		"Resources": {keys: map[name]rule{
			"Font": named(reach("Font")), "XObject": named(reach("XObject")), "ExtGState": named(reach("ExtGState")), "ColorSpace": named(colour),
			"Pattern": named(reach("Pattern")), "Shading": named(reach("Shading")), "Properties": named(membership), "ProcSet": trimmed,
		}},
		// 8.4.5
		"ExtGState": {typ: "ExtGState", keys: map[name]rule{
			"Type": trimmed, "LW": aNumber, "LC": anInt, "LJ": anInt, "ML": aNumber, "D": dash, "RI": aName, "OP": aBool, "op": aBool, "OPM": anInt,
			"Font": fontSize, "BG": function, "BG2": either(function, aName), "UCR": function, "UCR2": either(function, aName),
			"TR": transfer, "TR2": transfer, "HT": trimmed, "FL": aNumber, "SM": aNumber, "SA": aBool, "BM": either(aName, each(aName)),
			"SMask": either(oneOf("None"), reach("SoftMask")), "CA": aNumber, "ca": aNumber, "AIS": aBool, "TK": aBool,
		}},
		"SoftMask": {typ: "Mask", keys: map[name]rule{"Type": trimmed, "S": oneOf("Alpha Luminosity"), "G": reach("Form"), "BC": each(aNumber), "TR": transfer}, need: []name{"S", "G"}},
		"Group":    {typ: "Group", keys: map[name]rule{"Type": trimmed, "S": oneOf("Transparency"), "CS": colour, "I": aBool, "K": aBool}, need: []name{"S"}},
		// 8.7
		"Pattern":        {make: makePattern},
		"TilingPattern":  {typ: "Pattern", stream: true, make: makeContent, keys: map[name]rule{"Type": trimmed, "PatternType": anInt, "PaintType": anInt, "TilingType": anInt, "BBox": aRect, "XStep": aNumber, "YStep": aNumber, "Resources": reach("Resources"), "Matrix": numbers(6, 6)}, need: []name{"BBox", "XStep", "YStep"}},
		"ShadingPattern": {typ: "Pattern", keys: map[name]rule{"Type": trimmed, "PatternType": anInt, "Shading": reach("Shading"), "Matrix": numbers(6, 6), "ExtGState": reach("ExtGState")}, need: []name{"Shading"}},
		"Shading":        {make: makeShading, keys: shadingKeys},
		"MeshShading":    {stream: true, make: makeMesh, keys: shadingKeys},
		// 7.10
		"Function":       {make: makeFunction, keys: functionKeys},
		"StreamFunction": {stream: true, make: makeStreamFunction, keys: functionKeys},
		// 8.6.5
		"ICC":     {stream: true, make: makeProfile, keys: map[name]rule{"N": anInt, "Alternate": colour, "Range": each(aNumber), "Metadata": trimmed}, need: []name{"N"}},
		"CalGray": {keys: map[name]rule{"WhitePoint": numbers(3, 3), "BlackPoint": numbers(3, 3), "Gamma": aNumber}},
		"CalRGB":  {keys: map[name]rule{"WhitePoint": numbers(3, 3), "BlackPoint": numbers(3, 3), "Gamma": numbers(3, 3), "Matrix": numbers(9, 9)}},
		"Lab":     {keys: map[name]rule{"WhitePoint": numbers(3, 3), "BlackPoint": numbers(3, 3), "Range": numbers(4, 4)}},
		"Lookup":  {stream: true, make: copyData},
		"DeviceN": {keys: map[name]rule{"Subtype": aName, "Colorants": named(colour), "Process": trimmed, "MixingHints": trimmed}},
		// 8.10, 8.9
		"XObject": {make: makeXObject},
		"Form": {typ: "XObject", stream: true, make: makeContent, keys: map[name]rule{
			"Type": trimmed, "Subtype": oneOf("Form"), "FormType": trimmed, "BBox": aRect, "Matrix": numbers(6, 6), "Resources": reach("Resources"), "Group": reach("Group"),
			"OC": membership, "StructParent": anInt, "StructParents": anInt, "Name": trimmed, "LastModified": trimmed, "PieceInfo": gone("pdf.private"),
		}, need: []name{"BBox"}},
		"Image": {typ: "XObject", stream: true, make: makeImage, keys: imageKeys},
		// 8.11
		"Properties":      {make: makeProperties},
		"Layer":           {typ: "OCG", keys: map[name]rule{"Type": trimmed, "Name": aText, "Intent": either(aName, each(aName)), "Usage": trimmed}, need: []name{"Name"}},
		"Membership":      {typ: "OCMD", keys: map[name]rule{"Type": trimmed, "OCGs": layersOf, "P": oneOf("AllOn AnyOn AnyOff AllOff"), "VE": expression(8)}},
		"LayerProperties": {keys: map[name]rule{"OCGs": some(reach("Layer")), "D": reach("LayerConfig")}, need: []name{"D"}},
		"LayerConfig": {keys: map[name]rule{
			"Name": aText, "Creator": trimmed, "BaseState": unlessBare(oneOf("ON OFF Unchanged")), "ON": some(reach("Layer")), "OFF": unlessBare(some(reach("Layer"))), "Intent": either(aName, each(aName)),
			"Order": order(8), "ListMode": aName, "RBGroups": some(some(reach("Layer"))), "Locked": some(reach("Layer")), "AS": trimmed,
		}},
		// 12.2, 12.4.2
		"Preferences": {keys: map[name]rule{"Direction": aName, "DisplayDocTitle": trimmed, "PrintScaling": aName, "Duplex": aName, "HideToolbar": trimmed, "HideMenubar": trimmed, "HideWindowUI": trimmed, "FitWindow": trimmed, "CenterWindow": trimmed, "NonFullScreenPageMode": trimmed}, quiet: true},
		"PageLabel":   {keys: map[name]rule{"Type": trimmed, "S": oneOf("D R r A a"), "P": aText, "St": anInt}},
		// 12.3.3
		"Outlines": {typ: "Outlines", keys: map[name]rule{"Type": trimmed, "First": reach("Outline"), "Last": reach("Outline"), "Count": anInt}},
		"Outline": {keys: map[name]rule{
			"Title": aText, "Parent": outlineParent, "Prev": reach("Outline"), "Next": reach("Outline"), "First": reach("Outline"), "Last": reach("Outline"),
			"Count": anInt, "Dest": destination, "A": action, "SE": trimmed, "C": numbers(3, 3), "F": anInt,
		}, need: []name{"Title"}},
	}
	for _, more := range []map[string]kind{fontKinds(), annotationKinds()} {
		maps.Copy(m, more)
	}
	return m
}
