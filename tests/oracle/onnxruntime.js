'use strict';
// Evaluates a network with ONNX Runtime and with netmend, and compares: the same class for every
// point, every output within 1e-4 of the largest output of its point.
//   node onnxruntime.js NETMEND MODEL.onnx POINTS [--limit N] [--mean M,..] [--std S,..]
//                       [--labels LABELS]     ONNX Runtime must give these classes, too
// Exit status: 0 they agree; 1 they do not; 77 onnxruntime-node is not installed (1 where CI=true).
const fs = require('fs');
const os = require('os');
const path = require('path');
const { execFileSync } = require('child_process');
const { parseArgs } = require('util');
const { readPoints, readLabels } = require('./arrays.js');
const { loadRuntime, outputsOfRuntime } = require('./runtime.js');

const TOLERANCE = 1e-4;

function outputsOfNetmend(netmend, task, n) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'netmend-oracle-'));
    const logits = path.join(folder, 'logits.npy');
    const options = ['--test', task.points, '--test-range', `0:${n}`, '--logits', logits];
    for (const name of ['mean', 'std'])
        if (task[name])
            options.push(`--${name}`, task[name]);
    try {
        execFileSync(netmend, ['eval', task.model, ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
        const all = readPoints(logits, n);
        const nOut = all.values.length / all.n;
        return Array.from({ length: all.n }, (_, i) => all.values.subarray(i * nOut, (i + 1) * nOut));
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

const argmax = row => row.reduce((best, value, i) => (value > row[best] ? i : best), 0);

function worstDeviation(theirs, ours) {
    const scale = Math.max(...theirs.map(Math.abs));
    const worst = Math.max(...theirs.map((value, i) => Math.abs(value - ours[i])));
    return scale > 0 ? worst / scale : worst;
}

// Returns a line that tells how the two agree on one network; throws where they do not.
async function compare(runtime, netmend, task) {
    const parse = text => (text ? text.split(',').map(Number) : undefined);
    const points = readPoints(task.points, task.limit, parse(task.mean) || [0, 0, 0],
                              parse(task.std) || [1, 1, 1]);
    const theirs = await outputsOfRuntime(runtime, task.model, points);
    const ours = outputsOfNetmend(netmend, task, points.n);
    if (ours.length !== theirs.length || ours[0].length !== theirs[0].length)
        throw new Error(`${task.model}: netmend gives ${ours.length} x ${ours[0].length} outputs, `
                        + `ONNX Runtime ${theirs.length} x ${theirs[0].length}`);
    const labels = task.labels && readLabels(task.labels);
    let worst = 0;
    theirs.forEach((row, i) => {
        const deviation = worstDeviation(Array.from(row), ours[i]);
        // not `>`: a NaN must fail
        if (!(deviation <= TOLERANCE))
            throw new Error(`${task.model}: point ${i}: outputs differ by ${deviation} relative:\n`
                            + `  netmend      ${ours[i].join(' ')}\n  ONNX Runtime ${row.join(' ')}`);
        if (argmax(row) !== argmax(ours[i]))
            throw new Error(`${task.model}: point ${i}: netmend says class ${argmax(ours[i])}, `
                            + `ONNX Runtime ${argmax(row)}`);
        if (labels && argmax(row) !== labels[i])
            throw new Error(`${task.model}: point ${i}: ONNX Runtime says class ${argmax(row)}, `
                            + `the label is ${labels[i]}`);
        worst = Math.max(worst, deviation);
    });
    return `${path.basename(task.model)}: ${points.n} points, ${labels ? 'right' : 'same'} classes, `
        + `outputs within ${worst.toExponential(1)} relative`;
}

async function main() {
    const text = { type: 'string' };
    const { values: options, positionals } = parseArgs({
        allowPositionals: true,
        options: { limit: text, mean: text, std: text, labels: text },
    });
    const [netmend, model, points] = positionals;
    const task = { model, points, ...options, limit: Number(options.limit || 64) };
    console.log(await compare(loadRuntime(), netmend, task));
}

main().catch(error => {
    console.error(error.message);
    process.exit(1);
});
