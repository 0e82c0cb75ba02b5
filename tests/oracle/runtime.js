'use strict';
// ONNX Runtime, and what it computes. Exits with status 77 where onnxruntime-node is not installed
// (1 where CI=true).
const path = require('path');

const BATCH = 100;

function loadRuntime() {
    const root = path.join(__dirname, '..', '..');
    const folder = process.env.NM_ORACLE_DIR || path.join(root, 'build', 'oracle');
    try {
        return require(require.resolve('onnxruntime-node', { paths: [folder] }));
    } catch (error) {
        const message = `onnxruntime-node is not usable from ${folder} (${error.message.split('\n')[0]})`;
        if (process.env.CI === 'true')
            throw new Error(message);
        console.log(`skipped: ${message}`);
        process.exit(77);
    }
}

// Runs the points through ONNX Runtime on one thread, in batches where the network allows.
async function outputsOfRuntime(runtime, model, points) {
    const session = await runtime.InferenceSession.create(model, {
        intraOpNumThreads: 1, executionProviders: ['cpu'], logSeverityLevel: 3,
    });
    const input = session.inputMetadata[0];
    const isFixed = typeof input.shape[0] === 'number' && input.shape[0] > 0;
    const step = isFixed ? input.shape[0] : BATCH;
    const width = points.values.length / points.n;
    const rows = [];
    for (let first = 0; first < points.n; first += step) {
        const n = Math.min(step, points.n - first);
        const shape = [n, ...input.shape.slice(1)];
        const values = points.values.slice(first * width, (first + n) * width);
        const feed = { [input.name]: new runtime.Tensor('float32', values, shape) };
        const result = (await session.run(feed))[session.outputNames[0]].data;
        const nOut = result.length / n;
        for (let i = 0; i < n; i++)
            rows.push(result.slice(i * nOut, (i + 1) * nOut));
    }
    return rows;
}

module.exports = { loadRuntime, outputsOfRuntime };
