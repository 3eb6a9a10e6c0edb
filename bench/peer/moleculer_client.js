// PEER_CALLS calls with PEER_WINDOW under way; every answer is looked at. Last line: calls per second, wrong ones, the
// first of them.
const { ServiceBroker } = require("moleculer");

const broker = new ServiceBroker({
    namespace: process.env.PEER_NAMESPACE, nodeID: "client-" + process.pid, logger: false, requestTimeout: 60000,
    transporter: { type: "AMQP", options: { url: process.env.AMQP_URL, prefetch: 500 } },
});
const calls = Number(process.env.PEER_CALLS), window = Number(process.env.PEER_WINDOW), rows = Number(process.env.PEER_ROWS);
let sent = 0, wrong = 0, first = "";
async function caller() {
    while (sent < calls) {
        const id = 1 + (sent++ * 7919) % rows;
        const row = await broker.call("users.fetch", { id });
        if (row.id !== id || row.email !== `u${id}@example.org` || row.balance !== 100 ||
            row.created !== "2026-01-31T12:00:00.000Z") {
            if (wrong++ === 0) first = JSON.stringify(row);
        }
    }
}
(async () => {
    await broker.start();
    await broker.waitForServices("users", 20000);
    for (let i = 0; i < 30; ++i) { // warm: compiled
        await Promise.all(Array.from({ length: 64 }, () => broker.call("users.fetch", { id: 1 })));
    }
    const begin = process.hrtime.bigint();
    await Promise.all(Array.from({ length: window }, caller));
    const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
    console.log(`${(calls / seconds).toFixed(1)} ${wrong} ${first}`);
    await broker.stop();
    process.exit(0);
})().catch((failed) => { console.error(String(failed)); process.exit(1); });
