// Elementwise loops are compiled once per instruction set and chosen when the program starts. Their bits don't depend
// on the choice: contraction is off everywhere, and an elementwise loop has no order of summation.
#pragma once

// Sanitizers instrument the resolver that GCC emits, which then runs before they are ready.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__) || !defined(__x86_64__)
#define LOCKSTEP_ISA_CLONES
#else
#define LOCKSTEP_ISA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
