// The inbox of BEDS on MongoDB: one document for every write, made before the write is sent and given
// the reply after it. A message that comes again finds its document and gets its first reply; the write
// happens once. One collection per database, run once by the DBA (and again to change the window):
//
//   mongosh "mongodb://…/DATABASE" inbox.js
//   db.grantRolesToUser('beds', [{role: 'readWrite', db: 'DATABASE'}])
//
// or, with a role of its own: find, insert, update and remove on DATABASE.beds_inbox, and listIndexes
// there. Deletes mark their document first, so they need update on its collection, too.
//
//   _id  {p: who asked (the AMQP user, or `anonymous`), i: the operation's id, compared exactly}
//   c    128 bits over the operation; the same id with other content is refused
//   k    stands for this attempt; the documents that it wrote have it in their member `_beds`
//   e    what happened since: by whom (k) the reply (r), or who took it over (o) and when (t). A reply may
//        hold data of the operation, so treat it like what it is about
//   t    when it was begun, by this server's clock
//   w    keys of an insert that the node generated
//
// The window: senders that repeat later than this may have their write happen again. Not below the time
// in which they do, and not below an hour: it has to outlast what waits in the queues.
const days = 1;

if (!db.getCollectionNames().includes('beds_inbox')) {
    db.createCollection('beds_inbox');
}
const old = db.beds_inbox.getIndexes().find((index) => index.key.t === 1);
if (old === undefined) {
    db.beds_inbox.createIndex({t: 1}, {name: 'beds_window', expireAfterSeconds: days * 86400});
} else {
    db.runCommand({collMod: 'beds_inbox', index: {name: old.name, expireAfterSeconds: days * 86400}});
}
