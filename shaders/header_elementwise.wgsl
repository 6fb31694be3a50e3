// Shared head of every kernel that treats each element of equally shaped matrices alone.
//
// $T is f32, or vec4<f32> where every offset, stride and width is a multiple of four; counts and
// offsets are then in units of four elements. $DENSE is true where the matrices have no gaps.
// One invocation handles one $T.

struct P {
    total: u32,
    cols: u32,
    value: f32,
    a_off: u32, a_stride: u32,
    b_off: u32, b_stride: u32,
    c_off: u32, c_stride: u32,
    d_off: u32, d_stride: u32,
    e_off: u32, e_stride: u32,
    f_off: u32, f_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;

const DENSE: bool = $DENSE;

fn linear(g: vec3<u32>, gs: vec3<u32>, l: u32) -> u32 {
    return (g.y * gs.x + g.x) * 256u + l;
}

fn at(i: u32, offset: u32, stride: u32) -> u32 {
    if DENSE {
        return offset + i;
    }
    return offset + (i / p.cols) * stride + i % p.cols;
}
