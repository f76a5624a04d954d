package svg

import "strings"

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// elements that stay, with what stands in them.
var elements = set(`svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan textPath image
	linearGradient radialGradient stop pattern clipPath mask marker switch a style
	filter feGaussianBlur feOffset feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight
	feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feMerge feMergeNode feMorphology fePointLight feSpecularLighting feSpotLight feTile feTurbulence`)

// gone are the others, by the code that tells of them; any other is svg.unknown.
var gone = map[string]string{
	"script": "svg.script", "handler": "svg.script", "listener": "svg.script", "foreignObject": "svg.foreign", "iframe": "svg.foreign", "audio": "svg.foreign", "video": "svg.foreign", "canvas": "svg.foreign",
	"animate": "svg.animation", "animateColor": "svg.animation", "animateMotion": "svg.animation", "animateTransform": "svg.animation", "set": "svg.animation", "discard": "svg.animation", "mpath": "svg.animation",
	"metadata": "svg.metadata", "feImage": "svg.external", "font-face": "svg.external", "font": "svg.external", "color-profile": "svg.external", "cursor": "svg.external", "view": "", "font-face-uri": "svg.external",
}

// painted are presentation attributes: properties, that may be attributes of their own; those of filters and paint are places in
// the drawing.
var painted = set(`fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin stroke-miterlimit stroke-dasharray stroke-dashoffset
	stop-color stop-opacity clip-rule clip-path mask filter marker marker-start marker-mid marker-end color opacity display visibility overflow paint-order vector-effect
	shape-rendering text-rendering image-rendering color-rendering color-interpolation color-interpolation-filters text-anchor dominant-baseline alignment-baseline baseline-shift
	font font-family font-size font-style font-weight font-variant font-stretch font-size-adjust letter-spacing word-spacing text-decoration writing-mode direction
	flood-color flood-opacity lighting-color enable-background mix-blend-mode isolation`)

// geometry are attributes of numbers, lists, names and words.
var geometry = set(`id class lang version baseProfile viewBox preserveAspectRatio width height x y x1 y1 x2 y2 cx cy r rx ry fx fy fr dx dy d points pathLength
	transform gradientTransform patternTransform gradientUnits patternUnits patternContentUnits clipPathUnits maskUnits maskContentUnits markerUnits markerWidth markerHeight
	refX refY orient spreadMethod offset rotate textLength lengthAdjust startOffset method spacing side zoomAndPan contentStyleType
	filterUnits primitiveUnits in in2 result stdDeviation mode type values tableValues slope intercept amplitude exponent operator k1 k2 k3 k4 order kernelMatrix divisor bias
	targetX targetY edgeMode kernelUnitLength preserveAlpha surfaceScale diffuseConstant specularConstant specularExponent scale xChannelSelector yChannelSelector azimuth elevation
	z pointsAtX pointsAtY pointsAtZ limitingConeAngle radius baseFrequency numOctaves seed stitchTiles requiredFeatures systemLanguage text-align media role glyph-orientation-vertical glyph-orientation-horizontal kerning title`)

// points tells whether an attribute's value has none but plain characters.
func points(v string) bool {
	for _, r := range v {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r >= 0x80 || strings.ContainsRune(" +-.,()%_:/#\n\t'", r)) {
			return false
		}
	}
	close := strings.ToLower(strings.Join(strings.Fields(v), ""))
	return !strings.Contains(close, "url(") && !strings.Contains(close, "script:")
}
