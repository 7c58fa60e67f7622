// Optimisers over many parameters at once: a launch per GROUP of them, not per parameter.

#ifndef GROUP
#define GROUP 31
// Addresses of up to GROUP parameters with their gradients and moments, old and new.
struct Group {
    u64 parameter[GROUP], gradient[GROUP], first[GROUP], second[GROUP];
    u64 new_parameter[GROUP], new_first[GROUP], new_second[GROUP];
    // Where each parameter's elements begin, counted through the group; count + 1 of them.
    u32 start[GROUP + 1];
    u32 count;
};

// The parameter that element i of the group belongs to.
DEVICE u32 parameter_of(const Group *group, u32 i) {
    u32 low = 0, high = group->count;
    while (high - low > 1) {
        u32 middle = (low + high) / 2;
        if (group->start[middle] <= i) low = middle; else high = middle;
    }
    return low;
}
#endif

// alarm[0]: the first step whose gradient was not finite (0: none); alarm[1 + k]: whether parameter k's was.
KERNEL(NAME(watch), GIVEN(Group) group, u32 first, u32 step, u32 *alarm) {
    EACH(i, group.start[group.count]) {
        u32 k = parameter_of(&group, i);
        T g = ((const T *)group.gradient[k])[i - group.start[k]];
        if (g * 0 != 0 && (alarm[0] == 0 || alarm[0] == step)) {
            alarm[0] = step;
            alarm[1 + first + k] = 1;
        }
    }
}

#ifndef OVERWRITE
#define OVERWRITE
// new = parameter for every pair of the group, in words of four bytes, whatever they mean.
KERNEL(overwrite_each_f32, GIVEN(Group) group) {
    EACH(i, group.start[group.count]) {
        u32 k = parameter_of(&group, i);
        u32 j = i - group.start[k];
        ((u32 *)group.new_parameter[k])[j] = ((const u32 *)group.parameter[k])[j];
    }
}
#endif

// new = p * parameter + q * gradient, for every pair of the group.
KERNEL(NAME(blend_each), GIVEN(Group) group, T p, T q) {
    EACH(i, group.start[group.count]) {
        u32 k = parameter_of(&group, i);
        u32 j = i - group.start[k];
        ((T *)group.new_parameter[k])[j] = p * ((const T *)group.parameter[k])[j] + q * ((const T *)group.gradient[k])[j];
    }
}

// After an alarm nothing moves any more: the weights stay those of the last good step.

KERNEL(NAME(sgd), GIVEN(Group) group, T lr, T momentum, T decay, u32 nesterov, u32 begins, const u32 *alarm) {
    u32 stop = alarm[0];
    EACH(i, group.start[group.count]) {
        u32 k = parameter_of(&group, i);
        u32 j = i - group.start[k];
        T p = ((const T *)group.parameter[k])[j], b = momentum != 0 ? ((const T *)group.first[k])[j] : (T)0;
        T next = b;
        if (!stop) {
            T g = ((const T *)group.gradient[k])[j] + decay * p;
            // The buffer starts as the first gradient, not as zero.
            next = momentum == 0 || begins ? g : momentum * b + g;
            p = p - lr * (nesterov ? g + momentum * next : next);
        }
        ((T *)group.new_parameter[k])[j] = p;
        if (momentum != 0) ((T *)group.new_first[k])[j] = next;
    }
}

// size = lr / (1 - beta1^t), root = 1 / sqrt(1 - beta2^t); decoupled: AdamW, with shrink = 1 - lr * decay.
KERNEL(NAME(adam), GIVEN(Group) group, T b1, T b2, T k1, T k2, T size, T root, T eps, T decay, T shrink, u32 decoupled,
       const u32 *alarm) {
    u32 stop = alarm[0];
    EACH(i, group.start[group.count]) {
        u32 k = parameter_of(&group, i);
        u32 j = i - group.start[k];
        T p = ((const T *)group.parameter[k])[j], g = ((const T *)group.gradient[k])[j];
        T m = ((const T *)group.first[k])[j], v = ((const T *)group.second[k])[j];
        if (!stop) {
            if (decoupled) p = p * shrink; else g = g + decay * p;
            m = b1 * m + k1 * g;
            v = b2 * v + k2 * g * g;
            p = p - size * m / (sqrt(v) * root + eps);
        }
        ((T *)group.new_parameter[k])[j] = p;
        ((T *)group.new_first[k])[j] = m;
        ((T *)group.new_second[k])[j] = v;
    }
}
