/** Chemical elements, animals and their young, physical quantities. */
import { parseTable } from "./table.ts";

export const elements = parseTable(
  ["element", "symbol", "kind"],
  `
hydrogen | H | gas
helium | He | gas
lithium | Li | metal
beryllium | Be | metal
carbon | C | solid
nitrogen | N | gas
oxygen | O | gas
fluorine | F | gas
neon | Ne | gas
sodium | Na | metal
magnesium | Mg | metal
aluminium | Al | metal
silicon | Si | solid
phosphorus | P | solid
sulfur | S | solid
chlorine | Cl | gas
argon | Ar | gas
potassium | K | metal
calcium | Ca | metal
scandium | Sc | metal
titanium | Ti | metal
vanadium | V | metal
chromium | Cr | metal
manganese | Mn | metal
iron | Fe | metal
cobalt | Co | metal
nickel | Ni | metal
copper | Cu | metal
zinc | Zn | metal
gallium | Ga | metal
germanium | Ge | solid
selenium | Se | solid
bromine | Br | liquid
krypton | Kr | gas
rubidium | Rb | metal
strontium | Sr | metal
zirconium | Zr | metal
niobium | Nb | metal
molybdenum | Mo | metal
palladium | Pd | metal
silver | Ag | metal
cadmium | Cd | metal
tin | Sn | metal
antimony | Sb | solid
tellurium | Te | solid
xenon | Xe | gas
caesium | Cs | metal
barium | Ba | metal
tungsten | W | metal
osmium | Os | metal
iridium | Ir | metal
platinum | Pt | metal
gold | Au | metal
mercury | Hg | liquid
thallium | Tl | metal
lead | Pb | metal
bismuth | Bi | metal
radon | Rn | gas
radium | Ra | metal
thorium | Th | metal
uranium | U | metal
plutonium | Pu | metal
`,
);

export const animals = parseTable(
  ["animal", "group"],
  `
bat | mammals
beaver | mammals
camel | mammals
dolphin | mammals
elephant | mammals
giraffe | mammals
hedgehog | mammals
kangaroo | mammals
otter | mammals
platypus | mammals
rhinoceros | mammals
squirrel | mammals
walrus | mammals
whale | mammals
zebra | mammals
albatross | birds
crow | birds
eagle | birds
flamingo | birds
heron | birds
kiwi | birds
ostrich | birds
owl | birds
parrot | birds
pelican | birds
penguin | birds
sparrow | birds
stork | birds
woodpecker | birds
alligator | reptiles
chameleon | reptiles
cobra | reptiles
crocodile | reptiles
gecko | reptiles
iguana | reptiles
python | reptiles
rattlesnake | reptiles
tortoise | reptiles
turtle | reptiles
viper | reptiles
axolotl | amphibians
bullfrog | amphibians
newt | amphibians
salamander | amphibians
toad | amphibians
carp | fish
cod | fish
eel | fish
herring | fish
salmon | fish
seahorse | fish
shark | fish
stingray | fish
trout | fish
tuna | fish
ant | insects
bee | insects
beetle | insects
butterfly | insects
cricket | insects
dragonfly | insects
grasshopper | insects
ladybird | insects
mosquito | insects
moth | insects
termite | insects
wasp | insects
scorpion | arachnids
spider | arachnids
tarantula | arachnids
tick | arachnids
crab | crustaceans
lobster | crustaceans
prawn | crustaceans
woodlouse | crustaceans
mussel | molluscs
octopus | molluscs
oyster | molluscs
snail | molluscs
squid | molluscs
`,
);

/** What all members of a group have in common. */
export const groupTraits: Readonly<Record<string, string>> = {
  mammals: "which feed their young with milk",
  birds: "which have feathers and lay eggs",
  reptiles: "which breathe air and have dry scales",
  amphibians: "which begin their life in water",
  fish: "which breathe with gills",
  insects: "which have six legs",
  arachnids: "which have eight legs",
  crustaceans: "which wear a hard shell with joints",
  molluscs: "which have soft bodies without bones",
};

export const young = parseTable(
  ["animal", "young"],
  `
bear | cub
cat | kitten
cow | calf
deer | fawn
dog | puppy
duck | duckling
eel | elver
frog | tadpole
goat | kid
goose | gosling
hare | leveret
hen | chick
horse | foal
kangaroo | joey
owl | owlet
pig | piglet
pigeon | squab
seal | pup
sheep | lamb
swan | cygnet
`,
);

export const quantities = parseTable(
  ["quantity", "unit"],
  `
electric charge | coulomb
electric current | ampere
electric resistance | ohm
electric potential | volt
capacitance | farad
inductance | henry
magnetic flux | weber
magnetic flux density | tesla
force | newton
energy | joule
power | watt
pressure | pascal
frequency | hertz
temperature | kelvin
length | metre
mass | kilogram
time | second
luminous intensity | candela
luminous flux | lumen
illuminance | lux
amount of substance | mole
radioactivity | becquerel
`,
);
