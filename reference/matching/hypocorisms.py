"""Short forms of given names that are common in the United States, folded."""

from __future__ import annotations

# One line a name: the full form (with its spellings, joined by /), then what its bearers go by.
_TABLE = """
abigail: abby abbie gail
abraham: abe bram
adeline/adelaide: addie addy
agnes: aggie
albert: al bert bertie
alexander: alex al alec xander sandy sasha
alexandra: alex sandra lexi lexie sandy sasha alexa
alfred: al fred freddie alfie
alice: allie ally
alison/allison: allie ally ali
amanda: mandy
amelia: amy millie mia
andrea: andi andie drea
andrew: andy drew
angela: angie
angelina: angie lina
ann/anne/anna: annie nan nancy
anthony: tony
antonia: toni
antonio: tony
archibald: archie
arnold: arnie
arthur: art artie
augustus/august: gus augie
barbara: barb barbie babs bobbie
bartholomew: bart
beatrice: bea trixie
benjamin: ben benny benji
bernadette: bernie
bernard: bernie
bethany: beth
bradley: brad
brandon: bran
brittany: britt
caleb: cal
calvin: cal
cameron: cam
candace/candice: candy
carolyn/caroline: carrie carol lynn
catherine/katherine/kathryn/cathryn: cathy kathy kate katie cat kat kit kitty kay katy kathie cathie
charles: charlie chuck chas chaz
charlotte: charlie lottie char
chester: chet
christian: chris
christina/kristina: chris tina christy kristy
christine/kristine/kristin/kristen: chris tina christy kristy chrissy kris
christopher: chris topher kit
clarence: clare
clifford: cliff
clifton: cliff
clinton: clint
constance: connie
cornelius: neil neal
curtis: curt
cynthia: cindy
daniel: dan danny
danielle: dani dannie
david: dave davey davy
deborah/debra: deb debbie debby
delores/dolores: dee lola
dennis: denny
diana/diane: di
dominic/dominick: dom nick
donald: don donny donnie
dorothy/dorothea: dot dottie dolly dora thea
douglas: doug
dwayne: wayne
edgar: ed eddie
edith: edie
edmund/edmond: ed eddie ned ted
edward: ed eddie ned ted teddy
edwin: ed eddie
eileen: ellie
elaine: lainey
eleanor/elinor: ellie nell nellie nora lena
elizabeth/elisabeth: liz lizzie beth betty betsy bess eliza libby lisa ellie liza bette lilibeth
ellen: ellie nell
emily: em emmy
emma: em emmy
eric/erik: rick
ernest: ernie
estelle/estella: stella
esther: essie
eugene: gene
eugenia: genie
evelyn: evie eve
ezekiel: zeke
florence: flo flossie
frances: fran francie frankie fanny
francis/francisco: frank frankie fran paco
franklin: frank frankie
frederick/fredrick: fred freddie freddy rick fritz
gabriel: gabe
gabriela/gabriella/gabrielle: gabby gabi
genevieve: gen jenny
geoffrey/jeffrey/jeffery: geoff jeff
gerald/jerald: gerry jerry
geraldine: gerry jerry
gertrude: gertie trudy
gilbert: gil bert
gordon: gordy
grace: gracie
gregory: greg
guadalupe: lupe
gwendolyn: gwen wendy
harold: hal harry
harriet: hattie
harrison: harry
harvey: harv
helen/helena: nell nellie lena
henrietta: etta hettie
henry: hank harry hal
herbert: herb bert
herman: manny
howard: howie
hubert: hugh bert
ignacio: nacho
irene: rene
irving: irv
isaac: ike zac
isabel/isabella/isabelle: izzy bella belle
jacob: jake
jacqueline/jaclyn: jackie jacqui
james: jim jimmy jamie jem
jane: janie jenny
janet: jan
janice: jan
jasmine: jazz
jason: jay
jeanette: jean nettie
jennifer: jen jenny jenn jennie
jeremiah: jerry jeremy
jeremy: jerry
jerome: jerry
jessica: jess jessie
jesus: chuy
joann/joanne/joanna: jo
john: johnny jack jon
jonathan/johnathan: jon johnny nathan
jordan: jordy
jose: pepe
joseph: joe joey jos
josephine: jo josie
joshua: josh
joyce: joy
juan: juanito
judith: judy judi
julia/julie: jules
julian/julius: jules
justin: jus
karen: kari
kathleen: kathy kate katie kay kathie
kelly: kel
kenneth: ken kenny
kimberly/kimberley: kim kimmy
lauren/laura/laurie: laurie lori
lawrence/laurence: larry lars
leah: lea
leonard: len lenny leo
leroy: roy
leslie: les
lester: les
lewis/louis: lou louie
lillian: lily lil lilly
linda: lindy
lorraine: lori rainey
louise: lou
lucas/lucius: luke
lucille/lucinda/lucia: lucy lu cindy
luis: lou
madeline/madeleine/madelyn: maddie maddy
marcus: marc mark
margaret/margarita: maggie meg peggy marge margie greta rita daisy peg madge
maria/marie: mia mary
marilyn: mary lynn
marjorie: marge margie
martha: marty mattie
martin: marty
marvin: marv
mary: molly polly mamie mae may
matilda: tilly mattie
matthew: matt matty
maureen: mo
maurice: morrie mo
maxine: max
maximilian/maxwell: max
megan: meg
melanie: mel
melinda: mindy mel
melissa: missy mel lissa
melvin: mel
mercedes: mercy
michael: mike mikey mick mickey
michelle/michele: shelly mickey
mildred: millie
miranda: mandy randy
mitchell: mitch
mohammed/muhammad/mohammad: mo
morris: mo
nancy: nan
naomi: nomi
natalie: nat
nathan: nate nat
nathaniel: nate nat nathan
nicholas/nicolas: nick nicky nico
nicole: nicky nikki nick
norman: norm
oliver: ollie
olivia: liv livvy ollie
oscar: ozzie
pamela: pam
patricia: pat patty patti tricia trish
patrick: pat paddy rick
paula/paulina/pauline: polly
penelope: penny
peter: pete
philip/phillip: phil pip
phyllis: phyl
priscilla: cilla
rachel/rachael: rae shelly
ramona: mona
randall/randolph: randy
raphael/rafael: rafe rafa
raymond: ray
rebecca: becky becca
regina: gina reggie
reginald: reggie reg
rhonda: ronnie
ricardo: rick ricky
richard: rick ricky dick rich richie
robert: bob bobby rob robbie bert
roberta: bobbie robbie
roberto: beto
rodney: rod
roger: rog
roland: rollie
ronald: ron ronnie
rosalie/rosalind/rosemary/rosemarie: rose rosie
roxanne: roxy
rudolph: rudy
russell: russ rusty
ruth: ruthie
salvador/salvatore: sal
samantha: sam sammy
samson: sam
samuel: sam sammy
sandra: sandy
sarah/sara: sally sadie
savannah: vanna
sebastian: seb
shannon: shan
sharon: shari
sheldon: shelly
shirley: shirl
sidney/sydney: sid syd
simon: si
solomon: sol
sophia/sofia: sophie
stanley: stan
stephanie/stefanie: steph stephie
stephen/steven: steve stevie steph
stuart/stewart: stu
susan/suzanne/susanna/susannah: sue susie suzy
sylvester: sly
sylvia: syl
tabitha: tabby
tamara: tammy
teresa/theresa/therese: terry terri tess tessa tracy
terrence/terrance/terence: terry
theodore: ted teddy theo
thomas: tom tommy
timothy: tim timmy
tobias: toby
tyler: ty
valerie: val
vanessa: nessa
veronica: ronnie vera
victor: vic
victoria: vicki vicky tori
vincent: vince vinnie vin
viola/violet: vi
virginia: ginny ginger
vivian: viv
wallace: wally
walter: walt wally
warren: ren
wesley: wes
wilbur: will
wilfred: will fred
wilhelmina: minnie willa
william: bill billy will willie willy liam
winifred: winnie fred
winston: win
yolanda: yoli
zachary/zachariah: zach zack zac
"""


def _forms() -> dict[str, frozenset[int]]:
    """Return for each form the lines it stands in."""
    lines: dict[str, set[int]] = {}
    for number, line in enumerate(_TABLE.split("\n")):
        full, _, short = line.partition(":")
        for form in (*full.split("/"), *short.split()):
            lines.setdefault(form, set()).add(number)
    return {form: frozenset(numbers) for form, numbers in lines.items() if form}


def _full_forms() -> frozenset[str]:
    return frozenset(
        full for line in _TABLE.split("\n") for full in line.partition(":")[0].split("/")
    )


_FORMS = _forms()
_FULL = _full_forms()
_NOWHERE: frozenset[int] = frozenset()


def are_forms_of_one_name(one: str, other: str) -> bool:
    """Return whether one is a short form of the other; two short forms of one name are not.

    Bill and Will both shorten William, and are what twins called William and Wilfred go by.
    """
    if one == other or (one in _FULL) == (other in _FULL):
        return False
    return not _FORMS.get(one, _NOWHERE).isdisjoint(_FORMS.get(other, _NOWHERE))
