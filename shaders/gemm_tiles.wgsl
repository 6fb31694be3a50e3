// Matrix product for GPUs: tiles in workgroup memory, small squares of sums in registers.
//
// C[m,n] (+)= sum over k of A B, A and B stored as the form says: NN A[m,k] B[k,n];
// NT A[m,k] B[n,k]; TN A[k,m] B[k,n]. 2 m n k FLOPs.
// A workgroup of 256 invocations (16 x 16) makes a $TILE x $TILE tile of C in steps of $STEP along k;
// each invocation holds 4 $SQUARES x 4 $SQUARES sums, as $SQUARES^2 squares of 4 x 4 that lie
// $TILE / $SQUARES apart, so that neighbours read neighbouring words of workgroup memory.
// Bytes from memory: 4 (m n k) (2 / $TILE) plus C.

//#kernel gemm_tiles
struct P {
    m: u32, n: u32, k: u32, tiles: u32,
    a_off: u32, a_stride: u32,
    b_off: u32, b_stride: u32,
    c_off: u32, c_stride: u32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

const STEP: u32 = $STEPu;
// One word of padding a row keeps the transposing writes off one bank.
const WIDTH: u32 = $TILEu + 1u;
var<workgroup> left: array<f32, $LEFT>;
var<workgroup> right: array<f32, $LEFT>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(num_workgroups) gs: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let tile = g.y * gs.x + g.x;
    let row0 = (tile / p.tiles) * $TILEu;
    let col0 = (tile % p.tiles) * $TILEu;
    if row0 >= p.m {
        return;
    }
    let tx = l % 16u;
    let ty = l / 16u;
//#unroll r SIDE
//#unroll c SIDE
    var s$r_$c = 0.0;
//#end
//#end
    for (var k0 = 0u; k0 < p.k; k0 += STEP) {
        for (var i = l; i < $TILEu * STEP; i += 256u) {
//#if TN
            let ak = i / $TILEu;
            let ar = i % $TILEu;
            let a_at = p.a_off + (k0 + ak) * p.a_stride + row0 + ar;
//#else
            let ak = i % STEP;
            let ar = i / STEP;
            let a_at = p.a_off + (row0 + ar) * p.a_stride + k0 + ak;
//#end
            var av = 0.0;
            if row0 + ar < p.m && k0 + ak < p.k {
                av = a[a_at];
            }
            left[ak * WIDTH + ar] = av;
//#if NT
            let bk = i % STEP;
            let bc = i / STEP;
            let b_at = p.b_off + (col0 + bc) * p.b_stride + k0 + bk;
//#else
            let bk = i / $TILEu;
            let bc = i % $TILEu;
            let b_at = p.b_off + (k0 + bk) * p.b_stride + col0 + bc;
//#end
            var bv = 0.0;
            if col0 + bc < p.n && k0 + bk < p.k {
                bv = b[b_at];
            }
            right[bk * WIDTH + bc] = bv;
        }
        workgroupBarrier();
        for (var kk = 0u; kk < STEP; kk += 1u) {
            let la = kk * WIDTH + ty * 4u;
            let lb = kk * WIDTH + tx * 4u;
//#unroll r SIDE
            let x$r = left[la + ($ru / 4u) * 64u + $ru % 4u];
            let y$r = right[lb + ($ru / 4u) * 64u + $ru % 4u];
//#end
//#unroll r SIDE
//#unroll c SIDE
            s$r_$c = fma(x$r, y$c, s$r_$c);
//#end
//#end
        }
        workgroupBarrier();
    }
//#unroll r SIDE
    let line$r = row0 + ty * 4u + ($ru / 4u) * 64u + $ru % 4u;
    if line$r < p.m {
        let at = p.c_off + line$r * p.c_stride;
//#unroll c SIDE
        let column$c = col0 + tx * 4u + ($cu / 4u) * 64u + $cu % 4u;
        if column$c < p.n {
//#if ADD
            c[at + column$c] += s$r_$c;
//#else
            c[at + column$c] = s$r_$c;
//#end
        }
//#end
    }
//#end
}
