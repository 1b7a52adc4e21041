//go:build 386 || arm || mips || mipsle

package troupe

// The actor library under Troupe panics on 32-bit platforms at its first 64-bit atomic
// operation. Not to build is kinder than to crash.
var _ = troupe_requires_a_64_bit_platform
