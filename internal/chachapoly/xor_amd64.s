//go:build !purego

#include "textflag.h"

// One register of 512 bits holds the same word of sixteen blocks: Z0 to Z15 are the states of all.

// ADDXORROT is one of the four steps of a quarter round. QUARTERS takes four quarter rounds in step, which do not
// wait for each other.
#define ADDXORROT(a, b, d, bits) \
	VPADDD b, a, a       \
	VPXORD a, d, d       \
	VPROLD $bits, d, d

#define QUARTERS(a0, b0, c0, d0, a1, b1, c1, d1, a2, b2, c2, d2, a3, b3, c3, d3) \
	ADDXORROT(a0, b0, d0, 16) \
	ADDXORROT(a1, b1, d1, 16) \
	ADDXORROT(a2, b2, d2, 16) \
	ADDXORROT(a3, b3, d3, 16) \
	ADDXORROT(c0, d0, b0, 12) \
	ADDXORROT(c1, d1, b1, 12) \
	ADDXORROT(c2, d2, b2, 12) \
	ADDXORROT(c3, d3, b3, 12) \
	ADDXORROT(a0, b0, d0, 8)  \
	ADDXORROT(a1, b1, d1, 8)  \
	ADDXORROT(a2, b2, d2, 8)  \
	ADDXORROT(a3, b3, d3, 8)  \
	ADDXORROT(c0, d0, b0, 7)  \
	ADDXORROT(c1, d1, b1, 7)  \
	ADDXORROT(c2, d2, b2, 7)  \
	ADDXORROT(c3, d3, b3, 7)

// FEED adds the word of the first state at off, which is the same in all blocks.
#define FEED(off, z) VPADDD.BCST off(AX), z, z

// QUADS turns four words of sixteen blocks into four rows of four blocks each: lane l of row k has
// those words of block 4*l + k.
#define QUADS(w0, w1, w2, w3) \
	VPUNPCKLDQ  w1, w0, Z16 \
	VPUNPCKHDQ  w1, w0, Z17 \
	VPUNPCKLDQ  w3, w2, Z18 \
	VPUNPCKHDQ  w3, w2, Z19 \
	VPUNPCKLQDQ Z18, Z16, w0 \
	VPUNPCKHQDQ Z18, Z16, w1 \
	VPUNPCKLQDQ Z19, Z17, w2 \
	VPUNPCKHQDQ Z19, Z17, w3

// BLOCKS puts the lanes of the rows k of all quads together, and writes the blocks k, 4+k, 8+k and
// 12+k, over what is to be encrypted.
#define BLOCKS(off, r0, r1, r2, r3) \
	VSHUFI32X4 $0x44, r1, r0, Z16 \
	VSHUFI32X4 $0x44, r3, r2, Z17 \
	VSHUFI32X4 $0xee, r1, r0, Z18 \
	VSHUFI32X4 $0xee, r3, r2, Z19 \
	VSHUFI32X4 $0x88, Z17, Z16, Z20 \
	VSHUFI32X4 $0xdd, Z17, Z16, Z21 \
	VSHUFI32X4 $0x88, Z19, Z18, Z22 \
	VSHUFI32X4 $0xdd, Z19, Z18, Z23 \
	VPXORD     (off)(SI), Z20, Z20   \
	VPXORD     (off+256)(SI), Z21, Z21 \
	VPXORD     (off+512)(SI), Z22, Z22 \
	VPXORD     (off+768)(SI), Z23, Z23 \
	VMOVDQU32  Z20, (off)(DI)      \
	VMOVDQU32  Z21, (off+256)(DI)  \
	VMOVDQU32  Z22, (off+512)(DI)  \
	VMOVDQU32  Z23, (off+768)(DI)

// func xorChunks(dst, src *byte, chunks int, state *[16]uint32)
TEXT ·xorChunks(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ chunks+16(FP), CX
	MOVQ state+24(FP), AX
	VPMOVZXBD ·lanes(SB), Z31

chunk:
	VPBROADCASTD 0(AX), Z0
	VPBROADCASTD 4(AX), Z1
	VPBROADCASTD 8(AX), Z2
	VPBROADCASTD 12(AX), Z3
	VPBROADCASTD 16(AX), Z4
	VPBROADCASTD 20(AX), Z5
	VPBROADCASTD 24(AX), Z6
	VPBROADCASTD 28(AX), Z7
	VPBROADCASTD 32(AX), Z8
	VPBROADCASTD 36(AX), Z9
	VPBROADCASTD 40(AX), Z10
	VPBROADCASTD 44(AX), Z11
	VPADDD.BCST  48(AX), Z31, Z12
	VPBROADCASTD 52(AX), Z13
	VPBROADCASTD 56(AX), Z14
	VPBROADCASTD 60(AX), Z15
	VMOVDQA32    Z12, Z30
	MOVQ         $10, DX

rounds:
	QUARTERS(Z0, Z4, Z8, Z12, Z1, Z5, Z9, Z13, Z2, Z6, Z10, Z14, Z3, Z7, Z11, Z15)
	QUARTERS(Z0, Z5, Z10, Z15, Z1, Z6, Z11, Z12, Z2, Z7, Z8, Z13, Z3, Z4, Z9, Z14)
	DECQ DX
	JNZ  rounds

	FEED(0, Z0)
	FEED(4, Z1)
	FEED(8, Z2)
	FEED(12, Z3)
	FEED(16, Z4)
	FEED(20, Z5)
	FEED(24, Z6)
	FEED(28, Z7)
	FEED(32, Z8)
	FEED(36, Z9)
	FEED(40, Z10)
	FEED(44, Z11)
	VPADDD Z30, Z12, Z12
	FEED(52, Z13)
	FEED(56, Z14)
	FEED(60, Z15)
	ADDL $16, 48(AX)

	QUADS(Z0, Z1, Z2, Z3)
	QUADS(Z4, Z5, Z6, Z7)
	QUADS(Z8, Z9, Z10, Z11)
	QUADS(Z12, Z13, Z14, Z15)
	BLOCKS(0, Z0, Z4, Z8, Z12)
	BLOCKS(64, Z1, Z5, Z9, Z13)
	BLOCKS(128, Z2, Z6, Z10, Z14)
	BLOCKS(192, Z3, Z7, Z11, Z15)

	ADDQ $1024, SI
	ADDQ $1024, DI
	DECQ CX
	JNZ  chunk
	VZEROUPPER
	RET

DATA ·lanes+0(SB)/8, $0x0706050403020100
DATA ·lanes+8(SB)/8, $0x0f0e0d0c0b0a0908
GLOBL ·lanes(SB), RODATA|NOPTR, $16
