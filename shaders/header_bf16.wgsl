// Shared head of the kernels that round to bfloat16. $U is u32, or vec4<u32> for four at once.

// To nearest, ties to even; NaN stays NaN. The result stands in the low half.
fn narrow(bits: $U) -> $U {
    let rounded = (bits + $U(0x7fffu) + ((bits >> $U(16u)) & $U(1u))) >> $U(16u);
    let quiet = (bits >> $U(16u)) | $U(0x40u);
    return select(rounded, quiet, (bits & $U(0x7fffffffu)) > $U(0x7f800000u));
}
