// The peer's service: one row by its key, as Moleculer's users write it. Settings from main.cpp by environment.
const { ServiceBroker } = require("moleculer");
const mysql = require("mysql2/promise");

const pool = mysql.createPool({
    host: process.env.PEER_DB_HOST, port: Number(process.env.PEER_DB_PORT), user: process.env.PEER_DB_USER,
    password: process.env.PEER_DB_PASSWORD, database: process.env.PEER_DB_NAME, connectionLimit: 8, timezone: "Z",
});
const broker = new ServiceBroker({
    namespace: process.env.PEER_NAMESPACE, nodeID: "service", logger: false,
    transporter: { type: "AMQP", options: { url: process.env.AMQP_URL, prefetch: 500 } },
});
broker.createService({
    name: "users",
    actions: {
        async fetch(ctx) {
            const [rows] = await pool.execute(
                "SELECT id, email, status, balance, created FROM bench_users WHERE id = ?", [ctx.params.id]);
            return rows[0];
        },
    },
});
broker.start().then(() => console.log("ready"));
