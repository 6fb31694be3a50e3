// Shared head of every kernel that works on whole rows.
//
// On a GPU ($GROUPED true) a workgroup of $LANES invocations takes one row and adds up through
// workgroup memory, in a fixed tree. On a processor that plays a GPU each invocation takes a row
// of its own: barriers cost more there than the strided reads.

const LANES: u32 = $LANES;

//#if GROUPED
var<workgroup> tree: array<f32, $LANES>;

fn row_of(g: vec3<u32>, gs: vec3<u32>, l: u32) -> u32 {
    return g.y * gs.x + g.x;
}

fn lane_of(l: u32) -> u32 {
    return l;
}

fn sum_lanes(x: f32, lane: u32) -> f32 {
    workgroupBarrier();
    tree[lane] = x;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            tree[lane] += tree[lane + half];
        }
        workgroupBarrier();
    }
    return tree[0];
}

fn max_lanes(x: f32, lane: u32) -> f32 {
    workgroupBarrier();
    tree[lane] = x;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            tree[lane] = max(tree[lane], tree[lane + half]);
        }
        workgroupBarrier();
    }
    return tree[0];
}
//#else
fn row_of(g: vec3<u32>, gs: vec3<u32>, l: u32) -> u32 {
    return (g.y * gs.x + g.x) * $WG + l;
}

fn lane_of(l: u32) -> u32 {
    return 0u;
}

fn sum_lanes(x: f32, lane: u32) -> f32 {
    return x;
}

fn max_lanes(x: f32, lane: u32) -> f32 {
    return x;
}
//#end
