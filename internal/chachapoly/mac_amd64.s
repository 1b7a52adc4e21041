//go:build !purego

#include "textflag.h"

// Numbers are three limbs of 44, 44 and 42 bits, each with some bits to spare, of eight sums at once:
// Z0, Z1, Z2. The multiplier is Z3, Z4, Z5 with 20 times the last two in Z6, Z7: 2^132 is 4 * 5.

// SPREAD takes eight blocks into the limbs of eight messages: lane l has block l/2 + 4*(l%2).
// Each block has a bit more, 2^128.
#define SPREAD \
	VMOVDQU64   (SI), Z8    \
	VMOVDQU64   64(SI), Z9  \
	VPUNPCKLQDQ Z9, Z8, Z10 \
	VPUNPCKHQDQ Z9, Z8, Z11 \
	VPANDQ      Z28, Z10, Z8 \
	VPSRLQ      $44, Z10, Z10 \
	VPSLLQ      $20, Z11, Z12 \
	VPORQ       Z12, Z10, Z10 \
	VPANDQ      Z28, Z10, Z9 \
	VPSRLQ      $24, Z11, Z10 \
	VPORQ       Z30, Z10, Z10

// PRODUCT adds a*b to the sums lo, of the lower 52 bits, and hi, of the upper.
#define PRODUCT(a, b, lo, hi) \
	VPMADD52LUQ b, a, lo \
	VPMADD52HUQ b, a, hi

// func macChunks(sums *[3][8]uint64, by *multipliers, msg *byte, chunks int)
TEXT ·macChunks(SB), NOSPLIT, $0-32
	MOVQ sums+0(FP), DI
	MOVQ by+8(FP), AX
	MOVQ msg+16(FP), SI
	MOVQ chunks+24(FP), CX

	VMOVDQU64 0(DI), Z0
	VMOVDQU64 64(DI), Z1
	VMOVDQU64 128(DI), Z2
	VPBROADCASTQ 0(AX), Z3
	VPBROADCASTQ 8(AX), Z4
	VPBROADCASTQ 16(AX), Z5
	VPBROADCASTQ 24(AX), Z6
	VPBROADCASTQ 32(AX), Z7
	MOVQ $0xfffffffffff, BX
	VPBROADCASTQ BX, Z28
	MOVQ $0x3ffffffffff, BX
	VPBROADCASTQ BX, Z29
	MOVQ $0x10000000000, BX
	VPBROADCASTQ BX, Z30

chunk:
	CMPQ CX, $1
	JNE  add
	VMOVDQU64 40(AX), Z3
	VMOVDQU64 104(AX), Z4
	VMOVDQU64 168(AX), Z5
	VMOVDQU64 232(AX), Z6
	VMOVDQU64 296(AX), Z7

add:
	SPREAD
	VPADDQ Z8, Z0, Z0
	VPADDQ Z9, Z1, Z1
	VPADDQ Z10, Z2, Z2

	VPXORQ Z16, Z16, Z16
	VPXORQ Z17, Z17, Z17
	VPXORQ Z18, Z18, Z18
	VPXORQ Z19, Z19, Z19
	VPXORQ Z20, Z20, Z20
	VPXORQ Z21, Z21, Z21
	PRODUCT(Z0, Z3, Z16, Z17)
	PRODUCT(Z0, Z4, Z18, Z19)
	PRODUCT(Z0, Z5, Z20, Z21)
	PRODUCT(Z1, Z7, Z16, Z17)
	PRODUCT(Z1, Z3, Z18, Z19)
	PRODUCT(Z1, Z4, Z20, Z21)
	PRODUCT(Z2, Z6, Z16, Z17)
	PRODUCT(Z2, Z7, Z18, Z19)
	PRODUCT(Z2, Z3, Z20, Z21)

	// The upper parts weigh 2^52, which is 2^8 of the limb above.
	VPSRLQ $44, Z16, Z22
	VPANDQ Z28, Z16, Z0
	VPSLLQ $8, Z17, Z17
	VPADDQ Z17, Z18, Z18
	VPADDQ Z22, Z18, Z18
	VPSRLQ $44, Z18, Z22
	VPANDQ Z28, Z18, Z1
	VPSLLQ $8, Z19, Z19
	VPADDQ Z19, Z20, Z20
	VPADDQ Z22, Z20, Z20
	VPSRLQ $42, Z20, Z22
	VPANDQ Z29, Z20, Z2

	// What is above 2^130 comes back five times.
	VPSLLQ $10, Z21, Z21
	VPADDQ Z21, Z22, Z22
	VPSLLQ $2, Z22, Z21
	VPADDQ Z21, Z22, Z22
	VPADDQ Z22, Z0, Z0
	VPSRLQ $44, Z0, Z22
	VPANDQ Z28, Z0, Z0
	VPADDQ Z22, Z1, Z1

	ADDQ $128, SI
	DECQ CX
	JNZ  chunk

	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VZEROUPPER
	RET
