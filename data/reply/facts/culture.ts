/** Books, paintings, music, inventions, landmarks, dishes, abbreviations. */
import { parseTable } from "./table.ts";

export const books = parseTable(
  ["title", "author", "kind"],
  `
Anna Karenina | Leo Tolstoy | novel
War and Peace | Leo Tolstoy | novel
Crime and Punishment | Fyodor Dostoevsky | novel
The Idiot | Fyodor Dostoevsky | novel
The Cherry Orchard | Anton Chekhov | play
Dead Souls | Nikolai Gogol | novel
Emma | Jane Austen | novel
Pride and Prejudice | Jane Austen | novel
Jane Eyre | Charlotte Bronte | novel
Wuthering Heights | Emily Bronte | novel
Oliver Twist | Charles Dickens | novel
Great Expectations | Charles Dickens | novel
Middlemarch | George Eliot | novel
Frankenstein | Mary Shelley | novel
Dracula | Bram Stoker | novel
Treasure Island | Robert Louis Stevenson | novel
The Time Machine | H. G. Wells | novel
The Jungle Book | Rudyard Kipling | book
Robinson Crusoe | Daniel Defoe | novel
Gulliver's Travels | Jonathan Swift | novel
Hamlet | William Shakespeare | play
Macbeth | William Shakespeare | play
Othello | William Shakespeare | play
Paradise Lost | John Milton | poem
Ulysses | James Joyce | novel
Mrs Dalloway | Virginia Woolf | novel
Animal Farm | George Orwell | novel
Brave New World | Aldous Huxley | novel
Lord of the Flies | William Golding | novel
The Hobbit | J. R. R. Tolkien | novel
Pygmalion | George Bernard Shaw | play
Moby-Dick | Herman Melville | novel
The Scarlet Letter | Nathaniel Hawthorne | novel
Walden | Henry David Thoreau | book
Tom Sawyer | Mark Twain | novel
The Great Gatsby | F. Scott Fitzgerald | novel
The Old Man and the Sea | Ernest Hemingway | novel
The Grapes of Wrath | John Steinbeck | novel
Beloved | Toni Morrison | novel
Don Quixote | Miguel de Cervantes | novel
Les Miserables | Victor Hugo | novel
Madame Bovary | Gustave Flaubert | novel
Germinal | Emile Zola | novel
Candide | Voltaire | novel
The Little Prince | Antoine de Saint-Exupery | book
The Stranger | Albert Camus | novel
Faust | Johann Wolfgang von Goethe | play
The Trial | Franz Kafka | novel
The Magic Mountain | Thomas Mann | novel
The Divine Comedy | Dante Alighieri | poem
The Decameron | Giovanni Boccaccio | book
The Iliad | Homer | poem
The Aeneid | Virgil | poem
The Republic | Plato | book
A Doll's House | Henrik Ibsen | play
Things Fall Apart | Chinua Achebe | novel
One Hundred Years of Solitude | Gabriel Garcia Marquez | novel
The Tale of Genji | Murasaki Shikibu | novel
`,
);

export const works = parseTable(
  ["title", "maker", "kind"],
  `
The Starry Night | Vincent van Gogh | painting
The Night Watch | Rembrandt | painting
Girl with a Pearl Earring | Johannes Vermeer | painting
Mona Lisa | Leonardo da Vinci | painting
The Last Supper | Leonardo da Vinci | painting
The Birth of Venus | Sandro Botticelli | painting
The School of Athens | Raphael | painting
Guernica | Pablo Picasso | painting
The Persistence of Memory | Salvador Dali | painting
Las Meninas | Diego Velazquez | painting
The Scream | Edvard Munch | painting
The Kiss | Gustav Klimt | painting
Water Lilies | Claude Monet | painting
American Gothic | Grant Wood | painting
Nighthawks | Edward Hopper | painting
The Garden of Earthly Delights | Hieronymus Bosch | painting
The Fighting Temeraire | J. M. W. Turner | painting
The Hay Wain | John Constable | painting
The Magic Flute | Wolfgang Amadeus Mozart | opera
Fidelio | Ludwig van Beethoven | opera
Carmen | Georges Bizet | opera
Aida | Giuseppe Verdi | opera
Tosca | Giacomo Puccini | opera
The Barber of Seville | Gioachino Rossini | opera
Tannhauser | Richard Wagner | opera
Swan Lake | Pyotr Tchaikovsky | ballet
The Firebird | Igor Stravinsky | ballet
The Four Seasons | Antonio Vivaldi | music
Messiah | George Frideric Handel | music
The Brandenburg Concertos | Johann Sebastian Bach | music
The Planets | Gustav Holst | music
Bolero | Maurice Ravel | music
Finlandia | Jean Sibelius | music
Peer Gynt | Edvard Grieg | music
Rhapsody in Blue | George Gershwin | music
`,
);

/** Inventions and discoveries with the person who is usually credited; each has rivals. */
export const inventions = parseTable(
  ["invention", "person"],
  `
the telephone | Alexander Graham Bell
the light bulb | Thomas Edison
the radio | Guglielmo Marconi
the steam engine | James Watt
the electric battery | Alessandro Volta
dynamite | Alfred Nobel
the printing press | Johannes Gutenberg
the diesel engine | Rudolf Diesel
the motor car | Karl Benz
the aeroplane | the Wright brothers
the World Wide Web | Tim Berners-Lee
the telegraph | Samuel Morse
the telescope | Hans Lipperhey
the pendulum clock | Christiaan Huygens
the mercury thermometer | Daniel Fahrenheit
the barometer | Evangelista Torricelli
the lightning rod | Benjamin Franklin
the cotton gin | Eli Whitney
the hot air balloon | the Montgolfier brothers
the jet engine | Frank Whittle
television | John Logie Baird
penicillin | Alexander Fleming
X-rays | Wilhelm Roentgen
oxygen | Joseph Priestley
the electron | J. J. Thomson
the neutron | James Chadwick
radium | Marie Curie
vaccination | Edward Jenner
calculus | Isaac Newton
the periodic table | Dmitri Mendeleev
`,
);

export const landmarks = parseTable(
  ["landmark", "city", "country"],
  `
the Eiffel Tower | Paris | France
the Louvre | Paris | France
Big Ben | London | the United Kingdom
the Colosseum | Rome | Italy
the Trevi Fountain | Rome | Italy
the Uffizi Gallery | Florence | Italy
the Rialto Bridge | Venice | Italy
the Sagrada Familia | Barcelona | Spain
the Alhambra | Granada | Spain
the Prado Museum | Madrid | Spain
the Brandenburg Gate | Berlin | Germany
the Acropolis | Athens | Greece
Hagia Sophia | Istanbul | Turkey
the Kremlin | Moscow | Russia
the Hermitage Museum | Saint Petersburg | Russia
Charles Bridge | Prague | Czechia
Schonbrunn Palace | Vienna | Austria
the Little Mermaid | Copenhagen | Denmark
the Atomium | Brussels | Belgium
the Rijksmuseum | Amsterdam | the Netherlands
the Statue of Liberty | New York | the United States
the White House | Washington | the United States
the Golden Gate Bridge | San Francisco | the United States
the CN Tower | Toronto | Canada
the Taj Mahal | Agra | India
the Forbidden City | Beijing | China
the Burj Khalifa | Dubai | the United Arab Emirates
the Petronas Towers | Kuala Lumpur | Malaysia
the Opera House with the white sails | Sydney | Australia
Christ the Redeemer | Rio de Janeiro | Brazil
`,
);

/** Dishes and the country most often named as their home; such claims are contested. */
export const dishes = parseTable(
  ["dish", "country"],
  `
pizza | Italy
risotto | Italy
paella | Spain
gazpacho | Spain
sushi | Japan
ramen | Japan
tempura | Japan
kimchi | South Korea
pho | Vietnam
pad thai | Thailand
rendang | Indonesia
dim sum | China
biryani | India
hummus | Lebanon
falafel | Egypt
couscous | Morocco
injera | Ethiopia
jollof rice | Senegal
moussaka | Greece
goulash | Hungary
pierogi | Poland
borscht | Ukraine
fondue | Switzerland
sauerkraut | Germany
schnitzel | Austria
haggis | the United Kingdom
croissants | Austria
crepes | France
tacos | Mexico
ceviche | Peru
feijoada | Brazil
poutine | Canada
pavlova | New Zealand
arepas | Venezuela
`,
);

export const abbreviations = parseTable(
  ["short", "long"],
  `
CPU | central processing unit
GPU | graphics processing unit
RAM | random access memory
ROM | read-only memory
SSD | solid-state drive
LAN | local area network
VPN | virtual private network
DNS | domain name system
URL | uniform resource locator
HTML | hypertext markup language
HTTP | hypertext transfer protocol
FTP | file transfer protocol
PDF | portable document format
API | application programming interface
SQL | structured query language
USB | universal serial bus
LED | light-emitting diode
LCD | liquid crystal display
GPS | global positioning system
DNA | deoxyribonucleic acid
RNA | ribonucleic acid
MRI | magnetic resonance imaging
WHO | World Health Organization
EU | European Union
UN | United Nations
NASA | National Aeronautics and Space Administration
CERN | European Organization for Nuclear Research
IMF | International Monetary Fund
OS | operating system
AI | artificial intelligence
`,
);

export const instruments = parseTable(
  ["instrument", "family"],
  `
violin | strings
viola | strings
cello | strings
double bass | strings
harp | strings
lute | strings
guitar | strings
banjo | strings
mandolin | strings
flute | woodwind
oboe | woodwind
clarinet | woodwind
bassoon | woodwind
piccolo | woodwind
saxophone | woodwind
trumpet | brass
trombone | brass
tuba | brass
cornet | brass
bugle | brass
snare drum | percussion
timpani | percussion
xylophone | percussion
triangle | percussion
tambourine | percussion
gong | percussion
marimba | percussion
`,
);
