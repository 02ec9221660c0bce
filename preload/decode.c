/* decode.c - wraps Zydis.
 *
 * Lengths are asked for by the thousand while activation lasts: a table answers for common instructions (length.c), Zydis
 * in minimal mode for the others. The few instructions around a system call are looked at in full, but for the one that
 * most of them are. Zydis keeps no state and allocates nothing.
 */
#include "decode.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "arch/x86_64/length.h"
#include "image.h"

#define MOV_EAX_SIZE 5

static ZydisDecoder minimal, full;

int decode_init(void)
{
	int err = image_link();

	if (err)
		return err;
	ZydisDecoderInit(&full, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderInit(&minimal, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderEnableMode(&minimal, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
	return 0;
}

unsigned decode_length(uintptr_t addr, uintptr_t end)
{
	ZydisDecodedInstruction z;
	unsigned n = length_by_table(addr, end);

	if (n)
		return n;
	if (addr >= end || !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&minimal, NULL, (const void *)addr, end - addr, &z)))
		return 0;
	return z.length;
}

static uint8_t kind_of(const ZydisDecodedInstruction *z)
{
	bool relative = z->raw.imm[0].is_relative;

	switch (z->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		return INSN_CALL;
	case ZYDIS_CATEGORY_RET:
		return z->mnemonic == ZYDIS_MNEMONIC_RET && z->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR ? INSN_RET : INSN_FIXED;
	case ZYDIS_CATEGORY_UNCOND_BR:
		if (z->mnemonic != ZYDIS_MNEMONIC_JMP)
			return INSN_FIXED;
		return relative ? INSN_JMP : INSN_INDIRECT;
	case ZYDIS_CATEGORY_COND_BR: {
		uint8_t top = z->opcode & 0xf0;
		bool jcc = (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && top == 0x70) ||
			   (z->opcode_map == ZYDIS_OPCODE_MAP_0F && top == 0x80);
		return jcc && relative ? INSN_JCC : INSN_FIXED;
	}
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_CET:
		return INSN_FIXED;
	default:
		return z->mnemonic == ZYDIS_MNEMONIC_XBEGIN || z->mnemonic == ZYDIS_MNEMONIC_HLT ? INSN_FIXED : INSN_PLAIN;
	}
}

/* mov $imm32,%eax: what most system calls begin with. */
static bool is_mov_eax(uintptr_t addr, uintptr_t end)
{
	return end - addr >= MOV_EAX_SIZE && *(const uint8_t *)addr == 0xb8;
}

bool decode_insn(uintptr_t addr, uintptr_t end, struct insn *i)
{
	ZydisDecodedInstruction z;

	*i = (struct insn){.addr = addr};
	if (addr < end && is_mov_eax(addr, end)) {
		i->len = MOV_EAX_SIZE;
		return true;
	}
	if (addr >= end || !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&full, NULL, (const void *)addr, end - addr, &z)))
		return false;
	i->len = z.length;
	i->kind = kind_of(&z);
	i->cc = z.opcode & 0x0f;
	if ((i->kind == INSN_JMP || i->kind == INSN_JCC))
		i->target = addr + z.length + (uintptr_t)z.raw.imm[0].value.s;
	if ((z.attributes & ZYDIS_ATTRIB_HAS_MODRM) && z.raw.modrm.mod == 0 && z.raw.modrm.rm == 5 && z.raw.disp.size == 32) {
		i->rip_disp = z.raw.disp.offset;
		if (z.address_width != 64)
			i->kind = INSN_FIXED;
	}
	return true;
}

/* The number of a general register, of whatever width; -1 for others. */
static int gpr_number(ZydisRegister r)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);

	if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64)
		return -1;
	return ZydisRegisterGetId(whole);
}

static enum effect effect_of_write(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op, unsigned reg, uint64_t *value)
{
	const ZydisDecodedOperand *src = &op[1];
	bool wide = op[0].size >= 32;

	if (op[0].type != ZYDIS_OPERAND_TYPE_REGISTER || gpr_number(op[0].reg.value) != (int)reg || !wide)
		return EFFECT_OTHER;
	if (z->mnemonic == ZYDIS_MNEMONIC_MOV && src->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		*value = op[0].size == 32 ? (uint32_t)src->imm.value.u : src->imm.value.u;
		return EFFECT_CONST;
	}
	if (z->mnemonic == ZYDIS_MNEMONIC_XOR && src->type == ZYDIS_OPERAND_TYPE_REGISTER && src->reg.value == op[0].reg.value) {
		*value = 0;
		return EFFECT_CONST;
	}
	if (z->mnemonic == ZYDIS_MNEMONIC_MOV && src->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(src->reg.value) >= 0) {
		*value = (uint64_t)gpr_number(src->reg.value);
		return EFFECT_COPY;
	}
	return EFFECT_OTHER;
}

enum effect decode_effect(uintptr_t addr, uintptr_t end, unsigned reg, uint64_t *value)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	if (reg == DECODE_RAX && is_mov_eax(addr, end)) {
		uint32_t imm;

		memcpy(&imm, (const void *)(addr + 1), sizeof imm);
		*value = imm;
		return EFFECT_CONST;
	}
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&full, (const void *)addr, end - addr, &z, op)))
		return EFFECT_OTHER;
	if (z.meta.category == ZYDIS_CATEGORY_CALL || z.meta.category == ZYDIS_CATEGORY_SYSCALL)
		return EFFECT_OTHER;
	for (unsigned i = 0; i < z.operand_count; i++)
		if (op[i].type == ZYDIS_OPERAND_TYPE_REGISTER && (op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
		    gpr_number(op[i].reg.value) == (int)reg)
			return effect_of_write(&z, op, reg, value);
	return EFFECT_NONE;
}
