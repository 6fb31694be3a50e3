// Matrix product for processors that play a GPU (lavapipe, WARP): registers only.
//
// C[m,n] (+)= sum over k of A B, A and B stored as the form says: NN A[m,k] B[k,n];
// NT A[m,k] B[n,k]; TN A[k,m] B[k,n]. 2 m n k FLOPs.
// A workgroup is one SIMD vector of $SUB invocations. It makes a tile of 4 $SUB rows by
// 4 $SUB $GROUPS columns; each invocation holds 4 $SUB x $GROUPS vec4 sums. A load costs the same
// there whether its invocations read one address or many, so with SHARE each invocation loads
// another part of A and hands it round by subgroupBroadcast, which is one instruction.
// No workgroup memory, no barrier: those are coroutine switches.
// With VEC every offset, stride and contiguous extent is a multiple of four and loads are vec4;
// without it they are four guarded scalars.

//#kernel gemm_lanes
struct P {
    m: u32, n: u32, k: u32, tiles: u32,
    a_off: u32, a_stride: u32,
    b_off: u32, b_stride: u32,
    c_off: u32, c_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> a: array<$T>;
@group(0) @binding(2) var<storage, read> b: array<$T>;
@group(0) @binding(3) var<storage, read_write> c: array<$T>;

// Four neighbours of one stored row, zeros beyond its end.
fn load_a(row: u32, four: u32, extent: u32) -> vec4<f32> {
//#if VEC
    return a[p.a_off + row * p.a_stride + four];
//#else
    let at = p.a_off + row * p.a_stride;
    let e = 4u * four;
    let last = extent - 1u;
    let v = vec4<f32>(a[at + min(e, last)], a[at + min(e + 1u, last)], a[at + min(e + 2u, last)], a[at + min(e + 3u, last)]);
    return select(vec4<f32>(0.0), v, vec4<u32>(e, e + 1u, e + 2u, e + 3u) < vec4<u32>(extent));
//#end
}

fn load_b(row: u32, four: u32, extent: u32) -> vec4<f32> {
//#if VEC
    return b[p.b_off + row * p.b_stride + four];
//#else
    let at = p.b_off + row * p.b_stride;
    let e = 4u * four;
    let last = extent - 1u;
    let v = vec4<f32>(b[at + min(e, last)], b[at + min(e + 1u, last)], b[at + min(e + 2u, last)], b[at + min(e + 3u, last)]);
    return select(vec4<f32>(0.0), v, vec4<u32>(e, e + 1u, e + 2u, e + 3u) < vec4<u32>(extent));
//#end
}

fn store_c(row: u32, four: u32, v: vec4<f32>) {
    let at = p.c_off + row * p.c_stride;
//#if VEC
//#if ADD
    c[at + four] += v;
//#else
    c[at + four] = v;
//#end
//#else
//#unroll s 4
    if 4u * four + $su < p.n {
//#if ADD
        c[at + 4u * four + $su] += v[$s];
//#else
        c[at + 4u * four + $su] = v[$s];
//#end
    }
//#end
//#end
}

@compute @workgroup_size($SUB)
fn main(
    @builtin(workgroup_id) g: vec3<u32>,
    @builtin(num_workgroups) gs: vec3<u32>,
//#if SHARE
    @builtin(subgroup_invocation_id) lane: u32,
//#else
    @builtin(local_invocation_index) lane: u32,
//#end
) {
    let tile = g.y * gs.x + g.x;
    let row0 = (tile / p.tiles) * (4u * $SUBu);
    if row0 >= p.m {
        return;
    }
    let fours = (p.n + 3u) / 4u;
    let first = (tile % p.tiles) * ($SUBu * $GROUPSu) + lane;
    // Rows and columns beyond the edge repeat the last one and are not stored.
//#unroll j GROUPS
    let four$j = min(first + $SUBu * $ju, fours - 1u);
//#unroll b 4
//#unroll i SUB
    var sum$b_$i_$j = vec4<f32>(0.0);
//#end
//#end
//#end
//#if TN
    // Sum (b, i) is of row 4 i + b.
    let last = (p.m + 3u) / 4u - 1u;
    for (var k = 0u; k < p.k; k += $STEPu) {
//#unroll t STEP
//#unroll j GROUPS
        let y$j_$t = load_b(k + $tu, four$j, p.n);
//#end
//#if SHARE
        let x$t = load_a(k + $tu, min(row0 / 4u + lane, last), p.m);
//#end
//#unroll i SUB
//#if SHARE
        let z$t_$i = subgroupBroadcast(x$t, $iu);
//#else
        let z$t_$i = load_a(k + $tu, min(row0 / 4u + $iu, last), p.m);
//#end
//#unroll b 4
//#unroll j GROUPS
        sum$b_$i_$j = fma(vec4<f32>(z$t_$i[$b]), y$j_$t, sum$b_$i_$j);
//#end
//#end
//#end
//#end
    }
//#else
    // Sum (b, i) is of row $SUB b + i.
    let steps = (p.k + 3u) / 4u;
    for (var k = 0u; k < steps; k += 1u) {
//#unroll j GROUPS
//#if NT
//#unroll s 4
        let w$j_$s = load_b(min(4u * four$j + $su, p.n - 1u), k, p.k);
//#end
//#unroll t 4
        let y$j_$t = vec4<f32>(w$j_0[$t], w$j_1[$t], w$j_2[$t], w$j_3[$t]);
//#end
//#else
//#unroll t 4
        let y$j_$t = load_b(min(4u * k + $tu, p.k - 1u), four$j, p.n);
//#end
//#end
//#end
//#unroll b 4
//#if SHARE
        let x$b = load_a(min(row0 + $SUBu * $bu + lane, p.m - 1u), k, p.k);
//#end
//#unroll i SUB
//#if SHARE
        let z$b_$i = subgroupBroadcast(x$b, $iu);
//#else
        let z$b_$i = load_a(min(row0 + $SUBu * $bu + $iu, p.m - 1u), k, p.k);
//#end
//#unroll t 4
//#unroll j GROUPS
        sum$b_$i_$j = fma(vec4<f32>(z$b_$i[$t]), y$j_$t, sum$b_$i_$j);
//#end
//#end
//#end
//#end
    }
//#end
//#unroll j GROUPS
    if first + $SUBu * $ju < fours {
//#unroll b 4
//#unroll i SUB
//#if TN
        if row0 + 4u * $iu + $bu < p.m {
            store_c(row0 + 4u * $iu + $bu, four$j, sum$b_$i_$j);
        }
//#else
        if row0 + $SUBu * $bu + $iu < p.m {
            store_c(row0 + $SUBu * $bu + $iu, four$j, sum$b_$i_$j);
        }
//#end
//#end
//#end
    }
//#end
}
