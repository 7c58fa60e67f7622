// Philox4x32-10 (Salmon et al. 2011), the same words as on the CPU.
#pragma once

DEVICE void philox(u32 counter[4], u32 k0, u32 k1) {
    for (int round = 0; round < 10; round++) {
        u64 a = (u64)0xD2511F53u * counter[0], b = (u64)0xCD9E8D57u * counter[2];
        u32 next[4] = {(u32)(b >> 32) ^ counter[1] ^ k0, (u32)b, (u32)(a >> 32) ^ counter[3] ^ k1, (u32)a};
        for (int i = 0; i < 4; i++) counter[i] = next[i];
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}
