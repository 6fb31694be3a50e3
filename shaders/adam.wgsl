// The optimizer's step (header_adam.wgsl) with moments in f32.
//
// Shapes: param, grad, m, v alike. Per element 17 FLOPs, one root, two divisions, 32 bytes (four reads,
// four writes).

//#kernel adam
@group(0) @binding(3) var<storage, read_write> m: array<$T>;
@group(0) @binding(4) var<storage, read_write> v: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        let mi = at(i, p.c_off, p.c_stride);
        let vi = at(i, p.d_off, p.d_stride);
        let after = advance(at(i, p.a_off, p.a_stride), at(i, p.b_off, p.b_stride), m[mi], v[vi]);
        m[mi] = after.first;
        v[vi] = after.second;
    }
}
