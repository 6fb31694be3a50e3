// Fill, copy, add, and the activation functions with their gradients.
//
// Shapes: all operands M x N. Memory bound: per element and operand 4 bytes; 0 to 12 FLOPs and
// at most one exponential. silu(z) = z / (1 + exp(-z)); silu'(z) = s (1 + z (1 - s)) with
// s = 1 / (1 + exp(-z)).

fn sigmoid(z: $T) -> $T {
    return $T(1.0) / ($T(1.0) + exp(-z));
}

//#kernel fill
// a = value. 4 bytes written per element.
@group(0) @binding(1) var<storage, read_write> a: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        a[at(i, p.a_off, p.a_stride)] = $T(p.value);
    }
}

//#kernel copy
// b = a. 8 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read_write> b: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        b[at(i, p.b_off, p.b_stride)] = a[at(i, p.a_off, p.a_stride)];
    }
}

//#kernel add
// b += a. 12 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read_write> b: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        b[at(i, p.b_off, p.b_stride)] += a[at(i, p.a_off, p.a_stride)];
    }
}

//#kernel silu
// b = silu(a). 8 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read_write> b: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        let z = a[at(i, p.a_off, p.a_stride)];
        b[at(i, p.b_off, p.b_stride)] = z * sigmoid(z);
    }
}

//#kernel silu_backward
// c = b silu'(a), with a the input and b the output's gradient. 12 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read> b: array<$T>;
@group(0) @binding(3) var<storage, read_write> c: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        let z = a[at(i, p.a_off, p.a_stride)];
        let s = sigmoid(z);
        let slope = s * ($T(1.0) + z * ($T(1.0) - s));
        c[at(i, p.c_off, p.c_stride)] = b[at(i, p.b_off, p.b_stride)] * slope;
    }
}

//#kernel relu
// b = max(a, 0). 8 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read_write> b: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        b[at(i, p.b_off, p.b_stride)] = max(a[at(i, p.a_off, p.a_stride)], $T(0.0));
    }
}

//#kernel relu_backward
// c = b where a > 0, else 0, with a the forward's output. 12 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read> b: array<$T>;
@group(0) @binding(3) var<storage, read_write> c: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        let y = a[at(i, p.a_off, p.a_stride)];
        c[at(i, p.c_off, p.c_stride)] = select($T(0.0), b[at(i, p.b_off, p.b_stride)], y > $T(0.0));
    }
}

//#kernel swiglu
// c = silu(a) b, with a the gate and b the up projection. 12 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read> b: array<$T>;
@group(0) @binding(3) var<storage, read_write> c: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        let z = a[at(i, p.a_off, p.a_stride)];
        c[at(i, p.c_off, p.c_stride)] = z * sigmoid(z) * b[at(i, p.b_off, p.b_stride)];
    }
}

//#kernel swiglu_backward
// d = c b silu'(a), e = c silu(a), with a the gate, b the up projection and c the output's
// gradient. 20 bytes per element.
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read> b: array<$T>;
@group(0) @binding(3) var<storage, read> c: array<$T>;
@group(0) @binding(4) var<storage, read_write> d: array<$T>;
@group(0) @binding(5) var<storage, read_write> e: array<$T>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let i = linear(g, gs, l);
    if i < p.total {
        let z = a[at(i, p.a_off, p.a_stride)];
        let s = sigmoid(z);
        let dout = c[at(i, p.c_off, p.c_stride)];
        let slope = s * ($T(1.0) + z * ($T(1.0) - s));
        d[at(i, p.d_off, p.d_stride)] = dout * b[at(i, p.b_off, p.b_stride)] * slope;
        e[at(i, p.e_off, p.e_stride)] = dout * z * s;
    }
}
