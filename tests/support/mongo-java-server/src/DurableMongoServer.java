import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Locale;
import java.util.Set;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.MVStoreException;

/**
 * A MongoDB-speaking server for tests whose acknowledged writes survive kill -9: the store is
 * committed after every write command, before the reply. (The stock H2 backend commits once a
 * second.) Arguments: host, port, data file; for TLS also: port, PEM certificate, PKCS #8 EC key.
 */
public final class DurableMongoServer {
    private static final Set<String> WRITES = Set.of("insert", "update", "delete", "findandmodify",
        "aggregate", "create", "createindexes", "drop", "dropindexes", "dropdatabase",
        "renamecollection", "collmod");

    private static final class DurableBackend extends H2Backend {
        DurableBackend(MVStore store) {
            super(store);
        }

        @Override
        public Document handleMessage(MongoMessage message) {
            String command = message.getDocument().keySet().iterator().next();
            if (!WRITES.contains(command.toLowerCase(Locale.ROOT))) {
                return super.handleMessage(message);
            }
            // One at a time: a commit must not catch another command between a document and its
            // index, or a document that was never there keeps its key after a kill.
            synchronized (WRITES) {
                try {
                    return super.handleMessage(message);
                } finally {
                    commitOrEnd();
                }
            }
        }

        /** As mongod does: what cannot be written must not be answered, now or later. */
        private void commitOrEnd() {
            try {
                commit();
            } catch (MVStoreException unwritable) {
                unwritable.printStackTrace();
                Runtime.getRuntime().halt(1);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        MVStore store = new MVStore.Builder().fileName(args[2]).autoCommitDisabled().open();
        DurableBackend backend = new DurableBackend(store);
        MongoServer plain = new MongoServer(backend);
        plain.bind(args[0], Integer.parseInt(args[1]));
        Runtime.getRuntime().addShutdownHook(new Thread(plain::shutdownNow));
        if (args.length > 5) {
            X509Certificate certificate = (X509Certificate) CertificateFactory.getInstance("X.509")
                .generateCertificate(new ByteArrayInputStream(Files.readAllBytes(Path.of(args[4]))));
            String pem = Files.readString(Path.of(args[5])).replaceAll("-----[A-Z ]+-----|\\s", "");
            PrivateKey key = KeyFactory.getInstance("EC")
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
            MongoServer tls = new MongoServer(backend);
            tls.enableSsl(key, null, certificate);
            tls.bind(args[0], Integer.parseInt(args[3]));
        }
    }
}
