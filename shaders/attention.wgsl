// Causal grouped-query attention and its gradients; no score matrix is kept, no atomics.
//
// Per sequence and query head h with key/value head h / (heads / groups):
// out[i,:] = sum over j <= i of p[i,j] v[j,:], p[i,j] = exp(scale q[i].k[j] - lse[i]),
// scale = 1 / sqrt(D), lse[i] = log sum over j <= i of exp(scale q[i].k[j]).
// Back, with delta[i] = dout[i].out[i] and ds[i,j] = p[i,j] (dout[i].v[j] - delta[i]):
// dq[i] = scale sum_j ds k[j]; dk[j] = scale sum_i ds q[i]; dv[j] = sum_i p dout[i].
// Shapes: q, out, dout, dq M x (heads D); k, v, dk, dv M x (groups D); lse, delta M x heads;
// M = batch seq. FLOPs for each (row, head), seq/2 keys on average: 4 D forward, 6 D for dq, 8 D
// for dk and dv, per key.
// One invocation owns one row of the output and holds it in registers ($FOURS vec4); the rows it
// walks are the same for all $WG invocations of a workgroup. It walks them $SUB at a time: one where
// equal addresses are loaded once (GPUs), and the size of a subgroup, each invocation loading one
// row and handing it round, where a load costs one access per invocation (processors).

struct P {
    batch: u32, seq: u32, heads: u32, groups: u32,
    blocks: u32, scale: f32,
    q_off: u32, q_stride: u32,
    k_off: u32, k_stride: u32,
    v_off: u32, v_stride: u32,
    o_off: u32, o_stride: u32,
    l_off: u32, l_stride: u32,
    g_off: u32, g_stride: u32,
    d_off: u32, d_stride: u32,
    x_off: u32, x_stride: u32,
    y_off: u32, y_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;

const D: u32 = $Du;
const LOWEST: f32 = -3.402823e38;

fn same(x: vec4<f32>, lane: u32) -> vec4<f32> {
    return x;
}

fn same1(x: f32, lane: u32) -> f32 {
    return x;
}

// Which block of rows of which sequence and head a workgroup has: (sequence, head, first row).
fn place(group: u32, heads: u32) -> vec3<u32> {
    let rest = group / p.blocks;
    return vec3<u32>(rest / heads, rest % heads, (group % p.blocks) * $WGu);
}

//#kernel attention
// Forward, with a running maximum. One invocation per (row, head).
@group(0) @binding(1) var<storage, read> q: array<$T>;
@group(0) @binding(2) var<storage, read> k: array<$T>;
@group(0) @binding(3) var<storage, read> v: array<$T>;
@group(0) @binding(4) var<storage, read_write> o: array<$T>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

//#each b q k v
fn load_$b(at: u32, head: u32, four: u32) -> vec4<f32> {
//#if VEC
    return $b[at + head * $FOURSu + four];
//#else
    let start = at + head * D;
    let e = 4u * four;
    let top = D - 1u;
    let values = vec4<f32>($b[start + e], $b[start + min(e + 1u, top)], $b[start + min(e + 2u, top)], $b[start + min(e + 3u, top)]);
    return select(vec4<f32>(0.0), values, vec4<u32>(e, e + 1u, e + 2u, e + 3u) < vec4<u32>(D));
//#end
}
//#end
//#each b o
fn store_$b(at: u32, head: u32, four: u32, values: vec4<f32>) {
//#if VEC
    $b[at + head * $FOURSu + four] = values;
//#else
    let start = at + head * D;
//#unroll s 4
    if 4u * four + $su < D {
        $b[start + 4u * four + $su] = values[$s];
    }
//#end
//#end
}
//#end

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin($LANE) l: u32) {
    let here = place(g.y * gs.x + g.x, p.heads);
    if here.x >= p.batch {
        return;
    }
    let base = here.x * p.seq;
    let i = here.z + l;
    let row = base + min(i, p.seq - 1u);
    let kv = here.y / (p.heads / p.groups);
//#unroll f FOURS
    let q$f = load_q(p.q_off + row * p.q_stride, here.y, $fu) * p.scale;
    var o$f = vec4<f32>(0.0);
//#end
    var top = LOWEST;
    var total = 0.0;
    let end = min(here.z + $WGu, p.seq);
    for (var j = 0u; j < end; j += $SUBu) {
        let other = base + min(j + $OWN, p.seq - 1u);
//#unroll f FOURS
        let k$f = load_k(p.k_off + other * p.k_stride, kv, $fu);
        let v$f = load_v(p.v_off + other * p.v_stride, kv, $fu);
//#end
        var higher = top;
//#unroll s SUB
        var score$s = 0.0;
//#unroll f FOURS
        score$s += dot(q$f, $PICK(k$f, $su));
//#end
        score$s = select(LOWEST, score$s, j + $su <= i);
        higher = max(higher, score$s);
//#end
        let keep = exp(top - higher);
        top = higher;
        total *= keep;
//#unroll f FOURS
        o$f *= keep;
//#end
//#unroll s SUB
        let e$s = select(0.0, exp(score$s - higher), j + $su <= i);
        total += e$s;
//#unroll f FOURS
        o$f = fma(vec4<f32>(e$s), $PICK(v$f, $su), o$f);
//#end
//#end
    }
    if i < p.seq {
//#unroll f FOURS
        store_o(p.o_off + row * p.o_stride, here.y, $fu, o$f / total);
//#end
        lse[p.l_off + row * p.l_stride + here.y] = top + log(total);
    }
}

//#kernel attention_delta
// d[row,head] = dout[row,head,:].out[row,head,:]. One invocation per (row, head); batch is M here.
@group(0) @binding(1) var<storage, read> o: array<$T>;
@group(0) @binding(2) var<storage, read> g: array<$T>;
@group(0) @binding(3) var<storage, read_write> d: array<f32>;

//#each b o g
fn load_$b(at: u32, head: u32, four: u32) -> vec4<f32> {
//#if VEC
    return $b[at + head * $FOURSu + four];
//#else
    let start = at + head * D;
    let e = 4u * four;
    let top = D - 1u;
    let values = vec4<f32>($b[start + e], $b[start + min(e + 1u, top)], $b[start + min(e + 2u, top)], $b[start + min(e + 3u, top)]);
    return select(vec4<f32>(0.0), values, vec4<u32>(e, e + 1u, e + 2u, e + 3u) < vec4<u32>(D));
//#end
}
//#end

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin($LANE) l: u32) {
    let i = (at.y * gs.x + at.x) * $WGu + l;
    let row = i / p.heads;
    let head = i % p.heads;
    if row >= p.batch {
        return;
    }
    var sum = 0.0;
//#unroll f FOURS
    sum += dot(load_o(p.o_off + row * p.o_stride, head, $fu), load_g(p.g_off + row * p.g_stride, head, $fu));
//#end
    d[p.d_off + row * p.d_stride + head] = sum;
}

//#kernel attention_dq
// x is dq. One invocation per (row, head).
@group(0) @binding(1) var<storage, read> q: array<$T>;
@group(0) @binding(2) var<storage, read> k: array<$T>;
@group(0) @binding(3) var<storage, read> v: array<$T>;
@group(0) @binding(4) var<storage, read> g: array<$T>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read> d: array<f32>;
@group(0) @binding(7) var<storage, read_write> x: array<$T>;

//#each b q k v g
fn load_$b(at: u32, head: u32, four: u32) -> vec4<f32> {
//#if VEC
    return $b[at + head * $FOURSu + four];
//#else
    let start = at + head * D;
    let e = 4u * four;
    let top = D - 1u;
    let values = vec4<f32>($b[start + e], $b[start + min(e + 1u, top)], $b[start + min(e + 2u, top)], $b[start + min(e + 3u, top)]);
    return select(vec4<f32>(0.0), values, vec4<u32>(e, e + 1u, e + 2u, e + 3u) < vec4<u32>(D));
//#end
}
//#end
//#each b x
fn store_$b(at: u32, head: u32, four: u32, values: vec4<f32>) {
//#if VEC
    $b[at + head * $FOURSu + four] = values;
//#else
    let start = at + head * D;
//#unroll s 4
    if 4u * four + $su < D {
        $b[start + 4u * four + $su] = values[$s];
    }
//#end
//#end
}
//#end

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin($LANE) l: u32) {
    let here = place(at.y * gs.x + at.x, p.heads);
    if here.x >= p.batch {
        return;
    }
    let base = here.x * p.seq;
    let i = here.z + l;
    let row = base + min(i, p.seq - 1u);
    let kv = here.y / (p.heads / p.groups);
//#unroll f FOURS
    let q$f = load_q(p.q_off + row * p.q_stride, here.y, $fu) * p.scale;
    let g$f = load_g(p.g_off + row * p.g_stride, here.y, $fu);
    var x$f = vec4<f32>(0.0);
//#end
    let level = lse[p.l_off + row * p.l_stride + here.y];
    let mean = d[p.d_off + row * p.d_stride + here.y];
    let end = min(here.z + $WGu, p.seq);
    for (var j = 0u; j < end; j += $SUBu) {
        let other = base + min(j + $OWN, p.seq - 1u);
//#unroll f FOURS
        let k$f = load_k(p.k_off + other * p.k_stride, kv, $fu);
        let v$f = load_v(p.v_off + other * p.v_stride, kv, $fu);
//#end
//#unroll s SUB
        var score$s = 0.0;
        var pull$s = 0.0;
//#unroll f FOURS
        score$s += dot(q$f, $PICK(k$f, $su));
        pull$s += dot(g$f, $PICK(v$f, $su));
//#end
        let share$s = select(0.0, exp(score$s - level), j + $su <= i);
        let ds$s = share$s * (pull$s - mean) * p.scale;
//#unroll f FOURS
        x$f = fma(vec4<f32>(ds$s), $PICK(k$f, $su), x$f);
//#end
//#end
    }
    if i < p.seq {
//#unroll f FOURS
        store_x(p.x_off + row * p.x_stride, here.y, $fu, x$f);
//#end
    }
}

//#kernel attention_dkv
// x is dk, y is dv. One invocation per (row, key/value head); query heads in order.
@group(0) @binding(1) var<storage, read> q: array<$T>;
@group(0) @binding(2) var<storage, read> k: array<$T>;
@group(0) @binding(3) var<storage, read> v: array<$T>;
@group(0) @binding(4) var<storage, read> g: array<$T>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read> d: array<f32>;
@group(0) @binding(7) var<storage, read_write> x: array<$T>;
@group(0) @binding(8) var<storage, read_write> y: array<$T>;

//#each b q k v g
fn load_$b(at: u32, head: u32, four: u32) -> vec4<f32> {
//#if VEC
    return $b[at + head * $FOURSu + four];
//#else
    let start = at + head * D;
    let e = 4u * four;
    let top = D - 1u;
    let values = vec4<f32>($b[start + e], $b[start + min(e + 1u, top)], $b[start + min(e + 2u, top)], $b[start + min(e + 3u, top)]);
    return select(vec4<f32>(0.0), values, vec4<u32>(e, e + 1u, e + 2u, e + 3u) < vec4<u32>(D));
//#end
}
//#end
//#each b x y
fn store_$b(at: u32, head: u32, four: u32, values: vec4<f32>) {
//#if VEC
    $b[at + head * $FOURSu + four] = values;
//#else
    let start = at + head * D;
//#unroll s 4
    if 4u * four + $su < D {
        $b[start + 4u * four + $su] = values[$s];
    }
//#end
//#end
}
//#end

@compute @workgroup_size($WG)
fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin($LANE) l: u32) {
    let here = place(at.y * gs.x + at.x, p.groups);
    if here.x >= p.batch {
        return;
    }
    let base = here.x * p.seq;
    let j = here.z + l;
    let row = base + min(j, p.seq - 1u);
    let each = p.heads / p.groups;
//#unroll f FOURS
    let k$f = load_k(p.k_off + row * p.k_stride, here.y, $fu) * p.scale;
    let v$f = load_v(p.v_off + row * p.v_stride, here.y, $fu);
    var x$f = vec4<f32>(0.0);
    var y$f = vec4<f32>(0.0);
//#end
    for (var head = here.y * each; head < here.y * each + each; head += 1u) {
        for (var i = here.z; i < p.seq; i += $SUBu) {
            let other = base + min(i + $OWN, p.seq - 1u);
            let level = lse[p.l_off + other * p.l_stride + head];
            let mean = d[p.d_off + other * p.d_stride + head];
//#unroll f FOURS
            let q$f = load_q(p.q_off + other * p.q_stride, head, $fu);
            let g$f = load_g(p.g_off + other * p.g_stride, head, $fu);
//#end
//#unroll s SUB
            var score$s = 0.0;
            var pull$s = 0.0;
//#unroll f FOURS
            score$s += dot(k$f, $PICK(q$f, $su));
            pull$s += dot(v$f, $PICK(g$f, $su));
//#end
            let seen$s = j <= i + $su && i + $su < p.seq;
            let share$s = select(0.0, exp(score$s - $PICKONE(level, $su)), seen$s);
            let ds$s = share$s * (pull$s - $PICKONE(mean, $su)) * p.scale;
//#unroll f FOURS
            x$f = fma(vec4<f32>(ds$s), $PICK(q$f, $su), x$f);
            y$f = fma(vec4<f32>(share$s), $PICK(g$f, $su), y$f);
//#end
//#end
        }
    }
    if j < p.seq {
//#unroll f FOURS
        store_x(p.x_off + row * p.x_stride, here.y, $fu, x$f);
        store_y(p.y_off + row * p.y_stride, here.y, $fu, y$f);
//#end
    }
}
