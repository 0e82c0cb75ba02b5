'use strict';
// node onnxruntime.js MODEL N: evaluates a batch of N points, on one thread, for every line read;
// prints the seconds each took. Prints 0 when it is ready.
const path = require('path');
const readline = require('readline');

async function main() {
    const folder = process.env.NM_ORACLE_DIR || path.join(__dirname, '..', 'build', 'oracle');
    const runtime = require(require.resolve('onnxruntime-node', { paths: [folder] }));
    const [model, count] = process.argv.slice(2);
    const n = Number(count);
    const session = await runtime.InferenceSession.create(model, {
        intraOpNumThreads: 1, interOpNumThreads: 1, executionProviders: ['cpu'],
        graphOptimizationLevel: 'all', logSeverityLevel: 3,
    });
    const input = session.inputMetadata[0];
    const shape = [n, ...input.shape.slice(1)];
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) },
                                     (_, i) => (i * 2654435761 % 4294967296) / 4294967296);
    const feed = { [input.name]: new runtime.Tensor('float32', values, shape) };
    console.log(0);
    for await (const _ of readline.createInterface({ input: process.stdin })) {
        const start = process.hrtime.bigint();
        await session.run(feed);
        console.log(Number(process.hrtime.bigint() - start) * 1e-9);
    }
}

main().catch(error => {
    console.error(error.message.split('\n')[0]);
    process.exit(1);
});
